<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name>CommandBox</name>
    <message>
        <source>Command</source>
        <translation>Befehl</translation>
    </message>
    <message>
        <source>To be typed in a terminal</source>
        <translation>Zur Eingabe in einem Terminal</translation>
    </message>
</context>
<context>
    <name>CopyButton</name>
    <message>
        <source>&amp;Copy</source>
        <translation>&amp;Kopieren</translation>
    </message>
    <message>
        <source>Put it on the clipboard</source>
        <translation>In die Zwischenablage legen</translation>
    </message>
    <message>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
</context>
<context>
    <name>Session</name>
    <message>
        <source>the daemon does not answer</source>
        <translation>der Dienst antwortet nicht</translation>
    </message>
    <message>
        <source>see: samehost logs; to end: samehost down</source>
        <translation>siehe: samehost logs; beenden: samehost down</translation>
    </message>
    <message>
        <source>Samehost is not running</source>
        <translation>Samehost läuft nicht</translation>
    </message>
    <message>
        <source>start it: samehost up</source>
        <translation>Start: samehost up</translation>
    </message>
</context>
</TS>
