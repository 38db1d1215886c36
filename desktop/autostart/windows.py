"""Windows: a task of the Task Scheduler for when this user logs on.

Source: learn.microsoft.com, "schtasks" and "Task Scheduler Schema" (version 1.2).

Rules: with the user's own rights and session, so that it sees their WSL distributions and keys; no
end after three days, and none on battery, which are a task's defaults. The program is pythonw.exe
where there is one: it has no window. schtasks reads a file in UTF-16, which is made for it and
removed again.

Limits: has never run on Windows. Counterpart: `interface.py`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Final
from xml.etree import ElementTree

from desktop.autostart.interface import MARK, Autostart, Done, Run, Service, Status, run_program
from desktop.errors import ConflictError, SamehostError

__all__ = ["TASK", "TaskAutostart", "task_xml"]

TASK: Final = "Samehost"
BY: Final = "logon task"
SCHEMA: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"


def task_xml(service: Service, user: str) -> str:
    """The task. Variables are set by cmd.exe, for a task has none of its own."""
    task = ElementTree.Element("Task", {"version": "1.2", "xmlns": SCHEMA})
    _put(task, "RegistrationInfo/Description", MARK)
    _put(task, "Triggers/LogonTrigger/Enabled", "true")
    _put(task, "Triggers/LogonTrigger/UserId", user)
    principal = _put(task, "Principals/Principal/UserId", user)
    principal.set("id", "Author")
    _put(task, "Principals/Principal/LogonType", "InteractiveToken")
    _put(task, "Principals/Principal/RunLevel", "LeastPrivilege")
    for name, value in _SETTINGS.items():
        _put(task, f"Settings/{name}", value)
    program, arguments = _action(service)
    _put(task, "Actions/Exec/Command", program)
    _put(task, "Actions/Exec/Arguments", arguments)
    ElementTree.indent(task)
    return ElementTree.tostring(task, encoding="unicode")


_SETTINGS: Final = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "ExecutionTimeLimit": "PT0S",
    "RestartOnFailure/Interval": "PT1M",
    "RestartOnFailure/Count": "10",
}


def _put(root: ElementTree.Element, path: str, text: str) -> ElementTree.Element:
    """Set the text of an element below `root`, which is made; its parent."""
    *parents, last = path.split("/")
    element = root
    for name in parents:
        found = element.find(name)
        element = ElementTree.SubElement(element, name) if found is None else found
    ElementTree.SubElement(element, last).text = text
    return element


def _action(service: Service) -> tuple[str, str]:
    program, *arguments = service.command
    line = subprocess.list2cmdline(arguments)
    if not service.environment:
        return program, line
    setting = "".join(f'set "{name}={value}" && ' for name, value in service.environment.items())
    return "cmd.exe", f'/d /s /c "{setting}"{program}" {line}"'


class TaskAutostart(Autostart):
    """See the module."""

    def __init__(self, run: Run = run_program, environment: Mapping[str, str] = os.environ) -> None:
        self._run = run
        domain, name = environment.get("USERDOMAIN", ""), environment.get("USERNAME", "")
        self._user = f"{domain}\\{name}" if domain else name

    def status(self) -> Status:
        """See `Autostart.status`."""
        xml = self._query()
        if xml is None:
            return Status(False, BY)
        return Status("<Enabled>false</Enabled>" not in xml, BY, TASK)

    def turn_on(self, service: Service) -> None:
        """See `Autostart.turn_on`."""
        self._see_that_it_is_ours()
        program, *rest = service.command
        quiet = Path(program).with_name("pythonw.exe")
        if PureWindowsPath(program).name == "python.exe" and quiet.exists():
            service = Service((str(quiet), *rest), service.environment)
        descriptor, path = tempfile.mkstemp(suffix=".xml")
        try:
            with open(descriptor, "w", encoding="utf-16") as file:
                file.write('<?xml version="1.0" encoding="UTF-16"?>\n')
                file.write(task_xml(service, self._user))
            self._check(self._run(("schtasks", "/create", "/tn", TASK, "/xml", path, "/f")))
        finally:
            os.unlink(path)

    def turn_off(self) -> None:
        """See `Autostart.turn_off`."""
        if self._see_that_it_is_ours():
            self._check(self._run(("schtasks", "/delete", "/tn", TASK, "/f")))

    def _query(self) -> str | None:
        """The task as XML; None if there is none, which schtasks tells by its code alone."""
        done = self._run(("schtasks", "/query", "/tn", TASK, "/xml"))
        return None if done.code else done.said

    def _see_that_it_is_ours(self) -> bool:
        """False if there is none. Raises ConflictError."""
        xml = self._query()
        if xml is not None and MARK not in xml:
            raise ConflictError(
                f"the task {TASK} is somebody else's", "look at it in the Task Scheduler"
            )
        return xml is not None

    def _check(self, done: Done) -> None:
        if done.code:
            words = done.said.splitlines()[-1] if done.said else f"code {done.code}"
            raise SamehostError(
                f"the Task Scheduler does not do it: {words}",
                "a policy may forbid tasks: ask this computer's administrator",
            )
