<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en" sourcelanguage="en">
<context>
    <name>GeneralPage</name>
    <message numerus="yes">
        <source>%n open port(s) will be closed.</source>
        <translation>
            <numerusform>%n open port will be closed.</numerusform>
            <numerusform>%n open ports will be closed.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n connection(s) through them will end.</source>
        <translation>
            <numerusform>%n connection through them will end.</numerusform>
            <numerusform>%n connections through them will end.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n open</source>
        <translation>
            <numerusform>%n open</numerusform>
            <numerusform>%n open</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n in conflict</source>
        <translation>
            <numerusform>%n in conflict</numerusform>
            <numerusform>%n in conflict</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n denied</source>
        <translation>
            <numerusform>%n denied</numerusform>
            <numerusform>%n denied</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n being opened</source>
        <translation>
            <numerusform>%n being opened</numerusform>
            <numerusform>%n being opened</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n paused</source>
        <translation>
            <numerusform>%n paused</numerusform>
            <numerusform>%n paused</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n ignored</source>
        <translation>
            <numerusform>%n ignored</numerusform>
            <numerusform>%n ignored</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>MachineFindings</name>
    <message numerus="yes">
        <source>%n problem(s) found.</source>
        <translation>
            <numerusform>%n problem found.</numerusform>
            <numerusform>%n problems found.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n warning(s), and no problem.</source>
        <translation>
            <numerusform>%n warning, and no problem.</numerusform>
            <numerusform>%n warnings, and no problem.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>NetworkPage</name>
    <message numerus="yes">
        <source>%n setting(s) could not be applied.</source>
        <translation>
            <numerusform>%n setting could not be applied.</numerusform>
            <numerusform>%n settings could not be applied.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>NothingFound</name>
    <message numerus="yes">
        <source>%n port(s) do not match what you look for.</source>
        <translation>
            <numerusform>%n port does not match what you look for.</numerusform>
            <numerusform>%n ports do not match what you look for.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>PortActions</name>
    <message numerus="yes">
        <source>Copy %n address(es), one a line</source>
        <translation>
            <numerusform>Copy %n address</numerusform>
            <numerusform>Copy %n addresses, one a line</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>Searching</name>
    <message numerus="yes">
        <source>%n machine(s) found, at {}.</source>
        <translation>
            <numerusform>%n machine found, at {}.</numerusform>
            <numerusform>%n machines found, at {}.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>StopDialog</name>
    <message numerus="yes">
        <source>%n port(s) on this computer close.</source>
        <translation>
            <numerusform>%n port on this computer closes.</numerusform>
            <numerusform>%n ports on this computer close.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n connection(s) end.</source>
        <translation>
            <numerusform>%n connection ends.</numerusform>
            <numerusform>%n connections end.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>busiest</name>
    <message numerus="yes">
        <source>%n flow(s)</source>
        <translation>
            <numerusform>%n flow</numerusform>
            <numerusform>%n flows</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>notices</name>
    <message numerus="yes">
        <source>%n port(s) cannot be opened</source>
        <translation>
            <numerusform>%n port cannot be opened</numerusform>
            <numerusform>%n ports cannot be opened</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>and %n more</source>
        <translation>
            <numerusform>and %n more</numerusform>
            <numerusform>and %n more</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>ports</name>
    <message numerus="yes">
        <source>%n d</source>
        <comment>days</comment>
        <translation>
            <numerusform>%n d</numerusform>
            <numerusform>%n d</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n h</source>
        <comment>hours</comment>
        <translation>
            <numerusform>%n h</numerusform>
            <numerusform>%n h</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n min</source>
        <comment>minutes</comment>
        <translation>
            <numerusform>%n min</numerusform>
            <numerusform>%n min</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n s</source>
        <comment>seconds</comment>
        <translation>
            <numerusform>%n s</numerusform>
            <numerusform>%n s</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>tray</name>
    <message numerus="yes">
        <source>Host networking is on, but %n port(s) cannot be opened</source>
        <translation>
            <numerusform>Host networking is on, but %n port cannot be opened</numerusform>
            <numerusform>Host networking is on, but %n ports cannot be opened</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Host networking is on: %n open port(s)</source>
        <translation>
            <numerusform>Host networking is on: %n open port</numerusform>
            <numerusform>Host networking is on: %n open ports</numerusform>
        </translation>
    </message>
</context>
</TS>
