"""The last minute of one row's traffic as two small lines, one solid and one dashed.

Rules: painted when a sample comes and somebody sees it; colours of the palette, and the lines also
differ in how they are drawn. Screen readers get the values as words. Counterpart: `rates.History`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.ports.columns import Words
from gui.ports.rates import NO_RATE, SAMPLES, History, Rate

__all__ = ["Sparkline"]

FAINT: Final = 0.2
"""Opacity of the ground line, and of the area below the solid line."""

WIDTH: Final = 34
HEIGHT: Final = 4
"""Letters, and lines of text, that it takes at least."""


class Sparkline(QWidget):
    """Shows a history, the newest sample on the right."""

    def __init__(self, words: Words, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sparkline")
        self.history = History()
        self._words = words
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Traffic of the last minute"))
        self._say()

    @property
    def newest(self) -> Rate:
        """The last sample."""
        return self.history.samples[-1] if self.history.samples else NO_RATE

    def add(self, rate: Rate) -> None:
        """One more second."""
        self.history.add(rate)
        self._say()
        self.update()

    def clear(self) -> None:
        """Another row."""
        self.history.clear()
        self._say()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QWidget.sizeHint`."""
        metrics = self.fontMetrics()
        return QSize(metrics.averageCharWidth() * WIDTH, metrics.lineSpacing() * HEIGHT)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QWidget.minimumSizeHint`."""
        return QSize(self.sizeHint().width() // 2, self.sizeHint().height())

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.paintEvent`."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(1, 2, -1, -2)
        painter.setPen(QPen(self._ink(QPalette.ColorRole.WindowText, FAINT), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        samples = self.history.samples
        if len(samples) > 1:
            self._paint_into(painter, area, [sample.into for sample in samples])
            self._paint_out(painter, area, [sample.out for sample in samples])
        painter.end()

    def _paint_into(self, painter: QPainter, area: QRectF, values: Sequence[float]) -> None:
        line = self._line(area, values)
        shape = QPolygonF([*line, QPointF(line[-1].x(), area.bottom())])
        shape.append(QPointF(line[0].x(), area.bottom()))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._ink(QPalette.ColorRole.Highlight, FAINT))
        painter.drawPolygon(shape)
        painter.setPen(QPen(self._ink(QPalette.ColorRole.Highlight), 1.6))
        painter.drawPolyline(line)

    def _paint_out(self, painter: QPainter, area: QRectF, values: Sequence[float]) -> None:
        ink = self._ink(QPalette.ColorRole.WindowText)
        painter.setPen(QPen(ink, 1.2, Qt.PenStyle.DashLine))
        painter.drawPolyline(self._line(area, values))

    def _ink(self, role: QPalette.ColorRole, opacity: float = 1.0) -> QColor:
        ink = QColor(self.palette().color(role))
        ink.setAlphaF(opacity)
        return ink

    def _line(self, area: QRectF, values: Sequence[float]) -> list[QPointF]:
        """Points of a line: the highest of both lines reaches the top."""
        step = area.width() / (SAMPLES - 1)
        scale = area.height() / (self.history.highest or 1.0)
        first = area.right() - step * (len(values) - 1)
        return [
            QPointF(first + step * place, area.bottom() - value * scale)
            for place, value in enumerate(values)
        ]

    def _say(self) -> None:
        rate = self._words.rate
        text = self.tr("In {into}, out {out}; at most {highest} in the last minute.")
        now = self.newest
        self.setAccessibleDescription(
            text.format(into=rate(now.into), out=rate(now.out), highest=rate(self.history.highest))
        )
