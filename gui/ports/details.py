"""All that is known of the row that is selected, below the table: why, whose, since when, how much.

Rules: words of the daemon and of machines are shown as they came, as plain text. A field that has
nothing to say is not there. Counterparts: `columns.py` has the words, `sparkline.py` the lines.
"""

from __future__ import annotations

from html import escape
from typing import Final

from PySide6.QtCore import QDateTime, QLocale, QSize, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop.api.types import ContainerDetails, PortRow
from gui import icons
from gui.parts import BreakingLabel, Heading, Hint, IconLabel, PlainLabel, data_size
from gui.ports.cells import DIRECTION_ICONS
from gui.ports.columns import Entry, Words, badge
from gui.ports.flow import FlowLayout
from gui.ports.rates import Rate
from gui.ports.sparkline import Sparkline

__all__ = ["PortDetails"]

SHORT_ID: Final = 12
"""Digits of a container's id that engines show."""


COUNTS: Final = frozenset({"machine", "guest", "since", "flows", "total"})
"""Fields of the second group: where, since when and how much; the first says whose."""

LINES: Final = 12
"""Lines of text that it takes at first."""


COLUMN: Final = 38
"""Letters that a column has room for, at least."""


class PortDetails(QScrollArea):
    """See the module. `show_row` may be called as often as the row changes."""

    def __init__(self, words: Words, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words = words
        self._fields: dict[str, PlainLabel] = {}
        self._titles: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self.sparkline = Sparkline(words, self)
        self._icon = IconLabel("info", self)
        self._title = Heading("", self, level=2)
        self._title.setObjectName("details-title")
        self._reason = BreakingLabel(self)
        self._reason.setObjectName("details-reason")
        self._rates = Hint("", self)
        self._rates.setObjectName("details-rates")
        self._forms = (QFormLayout(), QFormLayout())
        self._arrange()
        self.show_nothing()

    def field(self, name: str) -> str:
        """What a field says; "" if it is not there."""
        return self._fields[name].text()

    @property
    def title(self) -> str:
        """What row it is about."""
        return self._title.text()

    @property
    def reason(self) -> str:
        """Why the row is as it is."""
        return self._reason.text()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QWidget.sizeHint`."""
        return QSize(super().sizeHint().width(), self.fontMetrics().lineSpacing() * LINES)

    def show_nothing(self) -> None:
        """No row is selected."""
        self._title.setText(self.tr("No port is selected"))
        self._reason.setText(
            self.tr(
                "Select one in the table to see why it is as it is, whose it is, and its traffic."
            )
        )
        self._reason.show()
        self._icon.show_icon("info")
        self._body.hide()
        self.setAccessibleDescription(self._title.text())

    def show_row(self, entry: Entry, container: ContainerDetails | None, wall: float) -> None:
        """Show this row; `wall` is the UNIX time."""
        row, words = entry.row, self._words
        title = self.tr("{state}: {protocol} {address}, {direction}").format(
            state=words.spoken_state(row),
            protocol=row.protocol.upper(),
            address=words.host(row),
            direction=words.direction(row.origin),
        )
        self._title.setText(title)
        self._reason.setText(row.reason)
        self._reason.setVisible(bool(row.reason))
        shown = badge(row)
        is_known = shown in icons.NAMES
        self._icon.show_icon(shown if is_known else DIRECTION_ICONS.get(row.origin, "info"))
        self._show_owner(row, container)
        self._show_counts(row, wall)
        self.show_rate(entry.rate)
        self._body.show()
        spoken = f"{self._title.text()}. {self._reason.text()}".strip()
        if self.accessibleDescription() != spoken:
            self.setAccessibleDescription(spoken)

    def show_rate(self, rate: Rate) -> None:
        """Say what goes through now."""
        words = self._words
        text = self.tr(
            "In {into} (solid)\nOut {out} (dashed)\nAt most {highest} in the last minute"
        )
        highest = max(*rate, self.sparkline.history.highest)
        self._rates.setText(
            text.format(
                into=words.rate(rate.into), out=words.rate(rate.out), highest=words.rate(highest)
            )
        )

    def _show_owner(self, row: PortRow, container: ContainerDetails | None) -> None:
        named = row.container
        self._say("container", named.name if named else "")
        self._say("image", container.image if container else "")
        short = named.id[:SHORT_ID] if named else ""
        self._say("id", f"{short} ({named.runtime})" if named and named.runtime else short)
        labels = sorted(container.labels.items()) if container else []
        self._say("labels", "\n".join(f"{key}={value}" for key, value in labels))
        self._say("process", row.process or "")
        self._say("machine", row.machine)
        self._say("guest", self._words.guest(row))

    def _show_counts(self, row: PortRow, wall: float) -> None:
        words, locale = self._words, QLocale()
        moment = QDateTime.fromMSecsSinceEpoch(round(row.since * 1000))
        since = self.tr("{moment} ({age} ago)").format(
            moment=locale.toString(moment, QLocale.FormatType.ShortFormat),
            age=words.age(wall - row.since),
        )
        total = self.tr("{into} in, {out} out").format(
            into=data_size(row.bytes_in), out=data_size(row.bytes_out)
        )
        self._say("since", since)
        self._say("total", total)
        self._say("flows", locale.toString(row.flows))

    def _say(self, name: str, text: str) -> None:
        label = self._fields[name]
        if self._said.get(name) == text:
            return
        self._said[name] = text
        label.setText(text)
        label.setToolTip(f"<p>{escape(label.text())}</p>")
        label.setAccessibleName(f"{self._titles[name]} {label.text()}")
        if label.isHidden() == bool(text):
            form = self._forms[name in COUNTS]
            form.setRowVisible(label, bool(text))

    def _arrange(self) -> None:
        names = {
            "container": self.tr("Container:"),
            "image": self.tr("Image:"),
            "id": self.tr("Id:"),
            "process": self.tr("Program:"),
            "labels": self.tr("Labels:"),
            "machine": self.tr("Machine:"),
            "guest": self.tr("In the machine:"),
            "since": self.tr("Since:"),
            "flows": self.tr("Flows:"),
            "total": self.tr("Total:"),
        }
        self._titles = names
        for name, title in names.items():
            label = BreakingLabel(self)
            label.setObjectName(f"details-{name}")
            self._fields[name] = label
            heading = QLabel(title, self)
            heading.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
            self._forms[name in COUNTS].addRow(heading, label)
        for form in self._forms:
            form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
            form.setVerticalSpacing(max(1, self.fontMetrics().height() // 6))
        self._put_together()

    def _put_together(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._title, 1)
        content = QWidget(self)
        self._body = QWidget(content)
        traffic = QVBoxLayout()
        traffic.addWidget(self.sparkline)
        traffic.addWidget(self._rates)
        traffic.addStretch(1)
        body = FlowLayout(self._body)
        body.setSpacing(self.fontMetrics().height())
        for group in (*self._forms, traffic):
            body.addWidget(self._column(group))
        layout = QVBoxLayout(content)
        layout.addLayout(head)
        layout.addWidget(self._reason)
        layout.addWidget(self._body)
        layout.addStretch(1)
        self._become(content)

    def _column(self, group: QLayout) -> QWidget:
        column = _Column(self._body)
        group.setContentsMargins(0, 0, 0, 0)
        column.setLayout(group)
        return column

    def _become(self, content: QWidget) -> None:
        self.setObjectName("details")
        self.setAccessibleName(self.tr("Details of the selected port"))
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidgetResizable(True)
        self.setWidget(content)
        # What can be copied takes the keyboard, and is scrolled to.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        for label in (self._reason, self._fields["labels"]):
            keys = Qt.TextInteractionFlag.TextSelectableByKeyboard
            label.setTextInteractionFlags(label.textInteractionFlags() | keys)
        for widget in (self.viewport(), content):
            widget.setBackgroundRole(QPalette.ColorRole.Window)


class _Column(QWidget):
    """A part of the details, of a width that several of them have room for side by side."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QWidget.sizeHint`."""
        width = self.fontMetrics().averageCharWidth() * COLUMN
        return QSize(max(width, self.minimumSizeHint().width()), super().sizeHint().height())
