<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de" sourcelanguage="en">
<context>
    <name>AboutPage</name>
    <message>
        <source>Containers of a Linux machine, started with --net=host, appear on this computer&apos;s localhost, and reach it.</source>
        <translation>Mit --net=host gestartete Container einer Linux-Maschine erscheinen auf dem localhost dieses Computers und erreichen ihn.</translation>
    </message>
    <message>
        <source>Licence</source>
        <translation>Lizenz</translation>
    </message>
    <message>
        <source>Samehost: {name}.</source>
        <translation>Samehost: {name}.</translation>
    </message>
    <message>
        <source>Documentation</source>
        <translation>Dokumentation</translation>
    </message>
    <message>
        <source>On the command line: samehost --help</source>
        <translation>Auf der Kommandozeile: samehost --help</translation>
    </message>
    <message>
        <source>In the source: {files}</source>
        <translation>Im Quelltext: {files}</translation>
    </message>
    <message>
        <source>Something is wrong?</source>
        <translation>Etwas stimmt nicht?</translation>
    </message>
    <message>
        <source>Details hold no names of machines or containers.</source>
        <translation>Die Angaben enthalten keine Namen von Maschinen oder Containern.</translation>
    </message>
    <message>
        <source>&amp;Copy details for a bug report</source>
        <translation>Angaben für einen Fehlerbericht &amp;kopieren</translation>
    </message>
    <message>
        <source>Samehost</source>
        <translation>Samehost</translation>
    </message>
    <message>
        <source>The window uses Qt {qt} and PySide6 {pyside}, under the GNU Lesser General Public License, version 3 ({licence}). They are libraries of their own, which you may replace; their source: {source}</source>
        <translation>Das Fenster verwendet Qt {qt} und PySide6 {pyside} unter der GNU Lesser General Public License, Version 3 ({licence}). Es sind eigenständige Bibliotheken, die ersetzt werden dürfen; ihr Quelltext: {source}</translation>
    </message>
    <message>
        <source>Version {own}; in the background: {daemon}</source>
        <translation>Version {own}; im Hintergrund: {daemon}</translation>
    </message>
    <message>
        <source>Version {own}</source>
        <translation>Version {own}</translation>
    </message>
</context>
<context>
    <name>ActionButtons</name>
    <message>
        <source>No machine is selected.</source>
        <translation>Es ist keine Maschine ausgewählt.</translation>
    </message>
</context>
<context>
    <name>Activity</name>
    <message>
        <source>Cancel</source>
        <translation>Abbrechen</translation>
    </message>
    <message>
        <source>End this: {}</source>
        <translation>Dies beenden: {}</translation>
    </message>
    <message>
        <source>How long it takes is not known</source>
        <translation>Wie lange es dauert, ist nicht bekannt</translation>
    </message>
    <message>
        <source>Progress</source>
        <translation>Fortschritt</translation>
    </message>
    <message>
        <source>What the daemon says of it, newest last</source>
        <translation>Was der Dienst dazu sagt, das Neueste zuletzt</translation>
    </message>
</context>
<context>
    <name>Banner</name>
    <message>
        <source>Close</source>
        <translation>Schließen</translation>
    </message>
    <message>
        <source>Close this message</source>
        <translation>Diese Meldung schließen</translation>
    </message>
</context>
<context>
    <name>CheckField</name>
    <message>
        <source>on</source>
        <translation>an</translation>
    </message>
    <message>
        <source>off</source>
        <translation>aus</translation>
    </message>
</context>
<context>
    <name>Choosing</name>
    <message>
        <source>There is no connection with the daemon.</source>
        <translation>Es besteht keine Verbindung zum Dienst.</translation>
    </message>
    <message>
        <source>Something else is under way.</source>
        <translation>Etwas anderes ist im Gange.</translation>
    </message>
    <message>
        <source>{name} is never attached: {reason}</source>
        <translation>{name} wird nie angebunden: {reason}</translation>
    </message>
</context>
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
    <name>Connection</name>
    <message>
        <source>the daemon sent nonsense: {}</source>
        <translation>der Dienst hat Unverständliches gesendet: {}</translation>
    </message>
    <message>
        <source>samehost down, then samehost up</source>
        <translation>samehost down, dann samehost up</translation>
    </message>
    <message>
        <source>the daemon&apos;s socket {} is another user&apos;s</source>
        <translation>der Socket {} des Dienstes gehört einem anderen Benutzer</translation>
    </message>
    <message>
        <source>run as that user</source>
        <translation>als dieser Benutzer ausführen</translation>
    </message>
    <message>
        <source>Samehost is not running</source>
        <translation>Samehost läuft nicht</translation>
    </message>
    <message>
        <source>start it: samehost up</source>
        <translation>starten: samehost up</translation>
    </message>
    <message>
        <source>the daemon is of another version: {}</source>
        <translation>der Dienst hat eine andere Version: {}</translation>
    </message>
    <message>
        <source>the daemon does not answer</source>
        <translation>der Dienst antwortet nicht</translation>
    </message>
    <message>
        <source>see: samehost logs; to end: samehost down</source>
        <translation>siehe: samehost logs; beenden: samehost down</translation>
    </message>
    <message>
        <source>the daemon ended the connection</source>
        <translation>der Dienst hat die Verbindung beendet</translation>
    </message>
    <message>
        <source>see: samehost logs</source>
        <translation>siehe: samehost logs</translation>
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
    <name>Examination</name>
    <message>
        <source>the examination prints without end</source>
        <translation>die Untersuchung gibt endlos Text aus</translation>
    </message>
    <message>
        <source>the examination says what is not understood: {}</source>
        <translation>die Untersuchung sagt Unverständliches: {}</translation>
    </message>
    <message>
        <source>the examination cannot be started: {}</source>
        <translation>die Untersuchung lässt sich nicht starten: {}</translation>
    </message>
    <message>
        <source>try it in a terminal: samehost doctor</source>
        <translation>in einem Terminal versuchen: samehost doctor</translation>
    </message>
</context>
<context>
    <name>Examining</name>
    <message>
        <source>Exa&amp;mine everything</source>
        <translation>Alles &amp;untersuchen</translation>
    </message>
    <message>
        <source>Run all checks of this computer and the current machine</source>
        <translation>Alle Prüfungen dieses Computers und der aktuellen Maschine ausführen</translation>
    </message>
    <message>
        <source>Examination</source>
        <translation>Untersuchung</translation>
    </message>
    <message>
        <source>What keeps ports from appearing, and what to do.</source>
        <translation>Was Ports am Erscheinen hindert, und was zu tun ist.</translation>
    </message>
    <message>
        <source>Examining…</source>
        <translation>Untersuchung läuft…</translation>
    </message>
    <message>
        <source>Examining {}…</source>
        <translation>{} wird untersucht…</translation>
    </message>
    <message>
        <source>The examination was given up.</source>
        <translation>Die Untersuchung wurde abgebrochen.</translation>
    </message>
    <message>
        <source>The examination failed</source>
        <translation>Die Untersuchung ist fehlgeschlagen</translation>
    </message>
</context>
<context>
    <name>Field</name>
    <message>
        <source>not applied yet</source>
        <translation>noch nicht angewendet</translation>
    </message>
    <message>
        <source>Meanwhile this was set to “{value}” elsewhere. Apply keeps yours, Cancel takes that one.</source>
        <translation>Inzwischen wurde dies anderswo auf „{value}“ gesetzt. „Anwenden“ behält Ihren Wert, „Abbrechen“ übernimmt den anderen.</translation>
    </message>
</context>
<context>
    <name>FilterBar</name>
    <message>
        <source>&amp;Find:</source>
        <translation>&amp;Suchen:</translation>
    </message>
    <message>
        <source>name, tcp:8000, :8000</source>
        <translation>Name, tcp:8000, :8000</translation>
    </message>
    <message>
        <source>Find ports</source>
        <translation>Ports suchen</translation>
    </message>
    <message>
        <source>Words that a row must have, or ports such as :8000 or udp:5000-5100</source>
        <translation>Wörter, die eine Zeile enthalten muss, oder Ports wie :8000 oder udp:5000-5100</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Zustand</translation>
    </message>
    <message>
        <source>Show only ports in this state</source>
        <translation>Nur Ports in diesem Zustand zeigen</translation>
    </message>
    <message>
        <source>Direction</source>
        <translation>Richtung</translation>
    </message>
    <message>
        <source>Show only ports of this direction</source>
        <translation>Nur Ports dieser Richtung zeigen</translation>
    </message>
    <message>
        <source>Colum&amp;ns</source>
        <translation>Spal&amp;ten</translation>
    </message>
    <message>
        <source>Choose columns, and sort by one</source>
        <translation>Spalten wählen und nach einer sortieren</translation>
    </message>
    <message>
        <source>Columns</source>
        <translation>Spalten</translation>
    </message>
    <message>
        <source>All states</source>
        <translation>Alle Zustände</translation>
    </message>
    <message>
        <source>Problems</source>
        <translation>Probleme</translation>
    </message>
    <message>
        <source>{name} ({count})</source>
        <translation>{name} ({count})</translation>
    </message>
    <message>
        <source>Both directions</source>
        <translation>Beide Richtungen</translation>
    </message>
</context>
<context>
    <name>FindingRow</name>
    <message>
        <source>All right</source>
        <translation>In Ordnung</translation>
    </message>
    <message>
        <source>Failed</source>
        <translation>Fehlgeschlagen</translation>
    </message>
    <message>
        <source>Error</source>
        <translation>Fehler</translation>
    </message>
    <message>
        <source>Warning</source>
        <translation>Warnung</translation>
    </message>
    <message>
        <source>Note</source>
        <translation>Hinweis</translation>
    </message>
    <message>
        <source>Not reached</source>
        <translation>Nicht erreicht</translation>
    </message>
    <message>
        <source>Left out</source>
        <translation>Ausgelassen</translation>
    </message>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>Copy the remedy</source>
        <translation>Die Abhilfe kopieren</translation>
    </message>
</context>
<context>
    <name>GeneralPage</name>
    <message>
        <source>General</source>
        <translation>Allgemein</translation>
    </message>
    <message>
        <source>This window</source>
        <translation>Dieses Fenster</translation>
    </message>
    <message>
        <source>&amp;Start Samehost</source>
        <translation>Samehost &amp;starten</translation>
    </message>
    <message>
        <source>Start it in the background, and connect to the machine</source>
        <translation>Im Hintergrund starten und mit der Maschine verbinden</translation>
    </message>
    <message>
        <source>S&amp;top Samehost…</source>
        <translation>Samehost b&amp;eenden…</translation>
    </message>
    <message>
        <source>Close every port it holds open, and end it</source>
        <translation>Jeden offengehaltenen Port schließen und es beenden</translation>
    </message>
    <message>
        <source>Running for</source>
        <translation>Läuft seit</translation>
    </message>
    <message>
        <source>Ports</source>
        <translation>Ports</translation>
    </message>
    <message>
        <source>Connections</source>
        <translation>Verbindungen</translation>
    </message>
    <message>
        <source>Carried so far</source>
        <translation>Bisher übertragen</translation>
    </message>
    <message>
        <source>Version</source>
        <translation>Version</translation>
    </message>
    <message>
        <source>Start Samehost &amp;with this window</source>
        <translation>Samehost &amp;mit diesem Fenster starten</translation>
    </message>
    <message>
        <source>If it does not run when the window is opened</source>
        <translation>Wenn es beim Öffnen des Fensters nicht läuft</translation>
    </message>
    <message>
        <source>&amp;Notify me when a port cannot be opened</source>
        <translation>&amp;Benachrichtigen, wenn ein Port nicht geöffnet werden kann</translation>
    </message>
    <message>
        <source>Once for each trouble, from the icon in the tray</source>
        <translation>Einmal je Störung, vom Symbol in der Leiste aus</translation>
    </message>
    <message>
        <source>Keep the icon in the t&amp;ray when closed</source>
        <translation>Nach dem Schließen als Symbol in der &amp;Leiste bleiben</translation>
    </message>
    <message>
        <source>Where the desktop has no tray, closing the window quits it</source>
        <translation>Wo der Desktop keine solche Leiste hat, beendet Schließen das Fenster</translation>
    </message>
    <message>
        <source>The last two need a desktop that shows icons in a tray. Without the window, and without the icon, Samehost goes on in the background until it is stopped.</source>
        <translation>Die letzten beiden brauchen einen Desktop, der Symbole in einer Leiste zeigt. Ohne das Fenster und ohne das Symbol läuft Samehost im Hintergrund weiter, bis es beendet wird.</translation>
    </message>
    <message>
        <source>Stop Samehost</source>
        <translation>Samehost beenden</translation>
    </message>
    <message>
        <source>Stop Samehost?</source>
        <translation>Samehost beenden?</translation>
    </message>
    <message>
        <source>&amp;Stop</source>
        <translation>&amp;Beenden</translation>
    </message>
    <message numerus="yes">
        <source>%n open port(s) will be closed.</source>
        <translation>
            <numerusform>%n offener Port wird geschlossen.</numerusform>
            <numerusform>%n offene Ports werden geschlossen.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n connection(s) through them will end.</source>
        <translation>
            <numerusform>%n Verbindung darüber endet.</numerusform>
            <numerusform>%n Verbindungen darüber enden.</numerusform>
        </translation>
    </message>
    <message>
        <source>A sandbox that Samehost started stops, with its containers.</source>
        <translation>Eine Sandbox, die Samehost gestartet hat, endet mit ihren Containern.</translation>
    </message>
    <message>
        <source>Stopping…</source>
        <translation>Wird beendet…</translation>
    </message>
    <message>
        <source>{tcp} TCP, {udp} UDP</source>
        <translation>{tcp} TCP, {udp} UDP</translation>
    </message>
    <message>
        <source>{incoming} to this computer&apos;s programs, {outgoing} from them</source>
        <translation>{incoming} zu Programmen dieses Computers, {outgoing} von ihnen</translation>
    </message>
    <message>
        <source>none</source>
        <translation>keine</translation>
    </message>
    <message numerus="yes">
        <source>%n open</source>
        <translation>
            <numerusform>%n offen</numerusform>
            <numerusform>%n offen</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n in conflict</source>
        <translation>
            <numerusform>%n im Konflikt</numerusform>
            <numerusform>%n im Konflikt</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n denied</source>
        <translation>
            <numerusform>%n verweigert</numerusform>
            <numerusform>%n verweigert</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n being opened</source>
        <translation>
            <numerusform>%n wird geöffnet</numerusform>
            <numerusform>%n werden geöffnet</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n paused</source>
        <translation>
            <numerusform>%n pausiert</numerusform>
            <numerusform>%n pausiert</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n ignored</source>
        <translation>
            <numerusform>%n ignoriert</numerusform>
            <numerusform>%n ignoriert</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>MachineActions</name>
    <message>
        <source>&amp;Use</source>
        <translation>&amp;Verwenden</translation>
    </message>
    <message>
        <source>Make it the current machine, in the place of that one</source>
        <translation>Zur aktuellen Maschine machen, anstelle der jetzigen</translation>
    </message>
    <message>
        <source>Attach &amp;beside</source>
        <translation>&amp;Daneben anbinden</translation>
    </message>
    <message>
        <source>Attach it too, beside those in use</source>
        <translation>Zusätzlich anbinden, neben denen, die verwendet werden</translation>
    </message>
    <message>
        <source>&amp;Detach</source>
        <translation>&amp;Lösen</translation>
    </message>
    <message>
        <source>End its ports here; the machine runs on</source>
        <translation>Ihre Ports hier schließen; die Maschine läuft weiter</translation>
    </message>
    <message>
        <source>&amp;Start</source>
        <translation>&amp;Starten</translation>
    </message>
    <message>
        <source>Start the machine without attaching it</source>
        <translation>Die Maschine starten, ohne sie anzubinden</translation>
    </message>
    <message>
        <source>St&amp;op…</source>
        <translation>A&amp;nhalten…</translation>
    </message>
    <message>
        <source>Stop the machine with all its containers</source>
        <translation>Die Maschine mit allen ihren Containern anhalten</translation>
    </message>
    <message>
        <source>E&amp;xamine</source>
        <translation>Un&amp;tersuchen</translation>
    </message>
    <message>
        <source>Look at the way to this machine, step by step</source>
        <translation>Den Weg zu dieser Maschine Schritt für Schritt ansehen</translation>
    </message>
</context>
<context>
    <name>MachineCard</name>
    <message>
        <source>Copy</source>
        <translation>Kopieren</translation>
    </message>
    <message>
        <source>For the docker command:</source>
        <translation>Für den Befehl docker:</translation>
    </message>
    <message>
        <source>the current one</source>
        <translation>die aktuelle</translation>
    </message>
    <message>
        <source>beside it</source>
        <translation>daneben</translation>
    </message>
    <message>
        <source>Use it again to try once more; Examine shows what is wrong.</source>
        <translation>„Verwenden“ versucht es noch einmal; „Untersuchen“ zeigt, was nicht stimmt.</translation>
    </message>
    <message>
        <source>It is not attached. Choose it, or another one, in the table below.</source>
        <translation>Sie ist nicht angebunden. Wählen Sie sie oder eine andere in der Tabelle unten.</translation>
    </message>
</context>
<context>
    <name>MachineEntries</name>
    <message>
        <source>It is the one in use already.</source>
        <translation>Sie wird schon verwendet.</translation>
    </message>
    <message>
        <source>It is in use already.</source>
        <translation>Sie wird schon verwendet.</translation>
    </message>
    <message>
        <source>It is not attached.</source>
        <translation>Sie ist nicht angebunden.</translation>
    </message>
    <message>
        <source>It runs already.</source>
        <translation>Sie läuft schon.</translation>
    </message>
    <message>
        <source>It does not run.</source>
        <translation>Sie läuft nicht.</translation>
    </message>
    <message>
        <source>The form is user@host or user@host:port, such as ada@build.example.org:22.</source>
        <translation>Die Form ist user@host oder user@host:port, zum Beispiel ada@build.example.org:22.</translation>
    </message>
    <message>
        <source>Ports are numbers from 1 to 65535.</source>
        <translation>Ports sind Zahlen von 1 bis 65535.</translation>
    </message>
</context>
<context>
    <name>MachineFindings</name>
    <message>
        <source>Nothing was looked at.</source>
        <translation>Es wurde nichts geprüft.</translation>
    </message>
    <message numerus="yes">
        <source>%n problem(s) found.</source>
        <translation>
            <numerusform>%n Problem gefunden.</numerusform>
            <numerusform>%n Probleme gefunden.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n warning(s), and no problem.</source>
        <translation>
            <numerusform>%n Warnung, kein Problem.</numerusform>
            <numerusform>%n Warnungen, kein Problem.</numerusform>
        </translation>
    </message>
    <message>
        <source>All is well.</source>
        <translation>Alles ist in Ordnung.</translation>
    </message>
</context>
<context>
    <name>MachineModel</name>
    <message>
        <source>Name</source>
        <translation>Name</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Zustand</translation>
    </message>
    <message>
        <source>In use</source>
        <translation>Verwendet</translation>
    </message>
    <message>
        <source>Kind</source>
        <translation>Art</translation>
    </message>
    <message>
        <source>Reached by</source>
        <translation>Erreicht über</translation>
    </message>
    <message>
        <source>Current one</source>
        <translation>Aktuelle</translation>
    </message>
    <message>
        <source>Beside it</source>
        <translation>Daneben</translation>
    </message>
    <message>
        <source>Never</source>
        <translation>Nie</translation>
    </message>
</context>
<context>
    <name>MachinePage</name>
    <message>
        <source>Machine</source>
        <translation>Maschine</translation>
    </message>
    <message>
        <source>Machines of this computer</source>
        <translation>Maschinen dieses Computers</translation>
    </message>
    <message>
        <source>The arrow keys scroll</source>
        <translation>Die Pfeiltasten blättern</translation>
    </message>
    <message>
        <source>Nothing is known without a connection to Samehost.</source>
        <translation>Ohne Verbindung zu Samehost ist nichts bekannt.</translation>
    </message>
</context>
<context>
    <name>MachineTable</name>
    <message>
        <source>Machines</source>
        <translation>Maschinen</translation>
    </message>
    <message>
        <source>The machines of this computer, one a row</source>
        <translation>Die Maschinen dieses Computers, eine je Zeile</translation>
    </message>
</context>
<context>
    <name>MachineWords</name>
    <message>
        <source>Connected</source>
        <translation>Verbunden</translation>
    </message>
    <message>
        <source>Starting</source>
        <translation>Startet</translation>
    </message>
    <message>
        <source>Connecting</source>
        <translation>Verbindet</translation>
    </message>
    <message>
        <source>Reconnecting</source>
        <translation>Verbindet erneut</translation>
    </message>
    <message>
        <source>Failed</source>
        <translation>Fehlgeschlagen</translation>
    </message>
    <message>
        <source>Running</source>
        <translation>Läuft</translation>
    </message>
    <message>
        <source>Stopped</source>
        <translation>Angehalten</translation>
    </message>
    <message>
        <source>Not known</source>
        <translation>Nicht bekannt</translation>
    </message>
    <message>
        <source>Docker over SSH</source>
        <translation>Docker über SSH</translation>
    </message>
    <message>
        <source>Sandbox</source>
        <translation>Sandbox</translation>
    </message>
    <message>
        <source>SSH server</source>
        <translation>SSH-Server</translation>
    </message>
    <message>
        <source>{d} d {h} h</source>
        <translation>{d} d {h} h</translation>
    </message>
    <message>
        <source>{h} h {min} min</source>
        <translation>{h} h {min} min</translation>
    </message>
    <message>
        <source>{min} min</source>
        <translation>{min} min</translation>
    </message>
    <message>
        <source>{s} s</source>
        <translation>{s} s</translation>
    </message>
    <message>
        <source>Connected for</source>
        <translation>Verbunden seit</translation>
    </message>
    <message>
        <source>Kernel</source>
        <translation>Kernel</translation>
    </message>
    <message>
        <source>Reached over</source>
        <translation>Erreicht über</translation>
    </message>
    <message>
        <source>Agent</source>
        <translation>Agent</translation>
    </message>
    <message>
        <source>Watched by</source>
        <translation>Beobachtet durch</translation>
    </message>
    <message>
        <source>{version}, on Python {python}</source>
        <translation>{version}, mit Python {python}</translation>
    </message>
    <message>
        <source>The daemon is version {}. The agent is renewed when the machine is attached anew.</source>
        <translation>Der Dienst hat Version {}. Der Agent wird erneuert, wenn die Maschine neu angebunden wird.</translation>
    </message>
</context>
<context>
    <name>MachineWork</name>
    <message>
        <source>Changing to {}…</source>
        <translation>Wechsel zu {}…</translation>
    </message>
    <message>
        <source>Attaching {}…</source>
        <translation>{} wird angebunden…</translation>
    </message>
    <message>
        <source>Detaching {}…</source>
        <translation>{} wird gelöst…</translation>
    </message>
    <message>
        <source>Starting {}…</source>
        <translation>{} wird gestartet…</translation>
    </message>
    <message>
        <source>Stopping {}…</source>
        <translation>{} wird angehalten…</translation>
    </message>
    <message>
        <source>{} is the current machine.</source>
        <translation>{} ist die aktuelle Maschine.</translation>
    </message>
    <message>
        <source>{} is attached.</source>
        <translation>{} ist angebunden.</translation>
    </message>
    <message>
        <source>{} is detached, and runs on.</source>
        <translation>{} ist gelöst und läuft weiter.</translation>
    </message>
    <message>
        <source>{} runs.</source>
        <translation>{} läuft.</translation>
    </message>
    <message>
        <source>{} is stopped.</source>
        <translation>{} ist angehalten.</translation>
    </message>
    <message>
        <source>{} could not be made the current machine</source>
        <translation>{} konnte nicht zur aktuellen Maschine werden</translation>
    </message>
    <message>
        <source>{} could not be attached</source>
        <translation>{} konnte nicht angebunden werden</translation>
    </message>
    <message>
        <source>{} could not be detached</source>
        <translation>{} konnte nicht gelöst werden</translation>
    </message>
    <message>
        <source>{} could not be started</source>
        <translation>{} konnte nicht gestartet werden</translation>
    </message>
    <message>
        <source>{} could not be stopped</source>
        <translation>{} konnte nicht angehalten werden</translation>
    </message>
</context>
<context>
    <name>Naming</name>
    <message>
        <source>Name of a machine</source>
        <translation>Name einer Maschine</translation>
    </message>
    <message>
        <source>By &amp;name:</source>
        <translation>Nach Na&amp;me:</translation>
    </message>
    <message>
        <source>Us&amp;e it</source>
        <translation>Ver&amp;wenden</translation>
    </message>
    <message>
        <source>Attach &amp;it beside</source>
        <translation>Daneben anb&amp;inden</translation>
    </message>
    <message>
        <source>A computer that you reach by SSH: user@host or user@host:port</source>
        <translation>Ein Computer, der über SSH erreicht wird: user@host oder user@host:port</translation>
    </message>
    <message>
        <source>This is the machine {}</source>
        <translation>Das ist die Maschine {}</translation>
    </message>
    <message>
        <source>Make it the current machine, in the place of that one</source>
        <translation>Zur aktuellen Maschine machen, anstelle der jetzigen</translation>
    </message>
    <message>
        <source>Attach it too, beside those in use</source>
        <translation>Zusätzlich anbinden, neben denen, die verwendet werden</translation>
    </message>
</context>
<context>
    <name>Navigation</name>
    <message>
        <source>Pages</source>
        <translation>Seiten</translation>
    </message>
    <message>
        <source>Choose what is shown beside this list</source>
        <translation>Wählen, was neben dieser Liste gezeigt wird</translation>
    </message>
</context>
<context>
    <name>NetworkPage</name>
    <message numerus="yes">
        <source>%n setting(s) could not be applied.</source>
        <translation>
            <numerusform>%n Einstellung konnte nicht angewendet werden.</numerusform>
            <numerusform>%n Einstellungen konnten nicht angewendet werden.</numerusform>
        </translation>
    </message>
    <message>
        <source>Applied. Nothing was restarted.</source>
        <translation>Angewendet. Nichts wurde neu gestartet.</translation>
    </message>
    <message>
        <source>Show that setting</source>
        <translation>Diese Einstellung zeigen</translation>
    </message>
    <message>
        <source>Only the administrator of this computer can change this.</source>
        <translation>Das kann nur der Administrator dieses Computers ändern.</translation>
    </message>
    <message>
        <source>Host networking is for Linux containers only. Switch the engine to Linux containers and attach it again, or use another machine.</source>
        <translation>Host-Netzwerk gibt es nur für Linux-Container. Schalten Sie die Engine auf Linux-Container um und binden Sie sie erneut an, oder verwenden Sie eine andere Maschine.</translation>
    </message>
    <message>
        <source>This cannot be changed.</source>
        <translation>Das lässt sich nicht ändern.</translation>
    </message>
    <message>
        <source>Host networking is off while Enhanced Container Isolation is on, which only the administrator of this computer can turn off.</source>
        <translation>Host-Netzwerk ist aus, solange „Enhanced Container Isolation“ an ist; das kann nur der Administrator dieses Computers ausschalten.</translation>
    </message>
    <message>
        <source>Host networking is off while Enhanced Container Isolation is on. To use it, turn that off below, and apply.</source>
        <translation>Host-Netzwerk ist aus, solange „Enhanced Container Isolation“ an ist. Um es zu verwenden, schalten Sie diese unten aus und wenden Sie das an.</translation>
    </message>
    <message>
        <source>Applying…</source>
        <translation>Wird angewendet…</translation>
    </message>
    <message>
        <source>Not applied yet: {settings}.</source>
        <translation>Noch nicht angewendet: {settings}.</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>Netzwerk</translation>
    </message>
    <message>
        <source>UDP</source>
        <translation>UDP</translation>
    </message>
    <message>
        <source>Isolation</source>
        <translation>Isolation</translation>
    </message>
    <message>
        <source>All settings: samehost settings list, in a terminal.</source>
        <translation>Alle Einstellungen: samehost settings list, in einem Terminal.</translation>
    </message>
    <message>
        <source>Changes apply at once: no container and no engine is restarted.</source>
        <translation>Änderungen gelten sofort: kein Container und keine Engine wird neu gestartet.</translation>
    </message>
    <message>
        <source>&amp;Cancel</source>
        <translation>A&amp;bbrechen</translation>
    </message>
    <message>
        <source>Take changes back</source>
        <translation>Änderungen zurücknehmen</translation>
    </message>
    <message>
        <source>&amp;Apply</source>
        <translation>An&amp;wenden</translation>
    </message>
    <message>
        <source>Put changes into force</source>
        <translation>Änderungen in Kraft setzen</translation>
    </message>
    <message>
        <source>&amp;Enable host networking</source>
        <translation>&amp;Host-Netzwerk einschalten</translation>
    </message>
    <message>
        <source>Containers that are started with --net=host can use localhost to reach TCP and UDP services on this computer, and programs on this computer can use localhost to reach TCP and UDP services in those containers.</source>
        <translation>Mit --net=host gestartete Container erreichen über localhost TCP- und UDP-Dienste auf diesem Computer, und Programme auf diesem Computer erreichen über localhost TCP- und UDP-Dienste in diesen Containern.</translation>
    </message>
    <message>
        <source>&amp;Let containers reach this computer</source>
        <translation>&amp;Container dürfen diesen Computer erreichen</translation>
    </message>
    <message>
        <source>Services on this computer&apos;s localhost are there for those containers, too. If this is off, only programs on this computer reach containers, and not the other way round.</source>
        <translation>Dienste auf dem localhost dieses Computers sind auch für diese Container da. Ist dies aus, erreichen nur Programme auf diesem Computer die Container, nicht umgekehrt.</translation>
    </message>
    <message>
        <source>As the container &amp;binds</source>
        <translation>Wie der Container &amp;lauscht</translation>
    </message>
    <message>
        <source>A service that listens on all addresses does so on this computer: other computers in your network can reach it.</source>
        <translation>Ein Dienst, der auf allen Adressen lauscht, tut das auch auf diesem Computer: andere Computer in Ihrem Netz können ihn erreichen.</translation>
    </message>
    <message>
        <source>Localhost &amp;only</source>
        <translation>&amp;Nur localhost</translation>
    </message>
    <message>
        <source>Only programs on this computer can reach containers. Other computers in your network cannot, whatever a service listens on.</source>
        <translation>Nur Programme auf diesem Computer können Container erreichen. Andere Computer in Ihrem Netz können es nicht, worauf ein Dienst auch lauscht.</translation>
    </message>
    <message>
        <source>Port binding</source>
        <translation>Portbindung</translation>
    </message>
    <message>
        <source>Where a port of a container opens on this computer:</source>
        <translation>Wo sich ein Port eines Containers auf diesem Computer öffnet:</translation>
    </message>
    <message>
        <source>Protocol</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <source>TCP or UDP: the same port of the other is another port</source>
        <translation>TCP oder UDP: derselbe Port des anderen ist ein anderer Port</translation>
    </message>
    <message>
        <source>Port or range</source>
        <translation>Port oder Bereich</translation>
    </message>
    <message>
        <source>such as 5353, 7000-7010 or machine:tcp:22</source>
        <translation>zum Beispiel 5353, 7000-7010 oder machine:tcp:22</translation>
    </message>
    <message>
        <source>Opened by</source>
        <translation>Geöffnet von</translation>
    </message>
    <message>
        <source>Whose ports are meant</source>
        <translation>Wessen Ports gemeint sind</translation>
    </message>
    <message>
        <source>either side</source>
        <translation>beiden Seiten</translation>
    </message>
    <message>
        <source>containers</source>
        <translation>Containern</translation>
    </message>
    <message>
        <source>this computer</source>
        <translation>diesem Computer</translation>
    </message>
    <message>
        <source>&amp;Ignored ports</source>
        <translation>&amp;Ignorierte Ports</translation>
    </message>
    <message>
        <source>These ports are left alone: they do not open on the other side. Some are ignored anyway, such as those of DHCP and multicast DNS.</source>
        <translation>Diese Ports bleiben unbeachtet: sie öffnen sich nicht auf der anderen Seite. Manche werden ohnehin ignoriert, zum Beispiel die von DHCP und Multicast-DNS.</translation>
    </message>
    <message>
        <source>No ports are ignored by a rule of yours.</source>
        <translation>Keine Ihrer Regeln ignoriert einen Port.</translation>
    </message>
    <message>
        <source>Container port</source>
        <translation>Containerport</translation>
    </message>
    <message>
        <source>The port that a container listens on, such as 8000</source>
        <translation>Der Port, auf dem ein Container lauscht, zum Beispiel 8000</translation>
    </message>
    <message>
        <source>Port here</source>
        <translation>Port hier</translation>
    </message>
    <message>
        <source>The port that opens on this computer, such as 18000</source>
        <translation>Der Port, der sich auf diesem Computer öffnet, zum Beispiel 18000</translation>
    </message>
    <message>
        <source>&amp;Remapped ports</source>
        <translation>Umgele&amp;gte Ports</translation>
    </message>
    <message>
        <source>A container&apos;s port opens on this computer under another number, for example because a program here has that port already.</source>
        <translation>Der Port eines Containers öffnet sich auf diesem Computer unter einer anderen Nummer, zum Beispiel weil ein Programm hier diesen Port schon hat.</translation>
    </message>
    <message>
        <source>Every port has the same number on both sides.</source>
        <translation>Jeder Port hat auf beiden Seiten dieselbe Nummer.</translation>
    </message>
    <message>
        <source>&amp;UDP idle time:</source>
        <translation>&amp;UDP-Ruhezeit:</translation>
    </message>
    <message>
        <source>A UDP conversation is over when nothing was sent for so many seconds.</source>
        <translation>Ein UDP-Austausch ist zu Ende, wenn so viele Sekunden lang nichts gesendet wurde.</translation>
    </message>
    <message>
        <source>s</source>
        <comment>seconds</comment>
        <translation>s</translation>
    </message>
    <message>
        <source>UDP con&amp;versations:</source>
        <translation>UDP-&amp;Vorgänge:</translation>
    </message>
    <message>
        <source>So many go through one port at a time. When there are more, the oldest are dropped.</source>
        <translation>So viele gehen gleichzeitig durch einen Port. Sind es mehr, fallen die ältesten weg.</translation>
    </message>
    <message>
        <source>Enhanced Container I&amp;solation</source>
        <translation>Enhanced Container I&amp;solation</translation>
    </message>
    <message>
        <source>Keeps containers apart from this computer&apos;s network. While it is on, host networking is off and cannot be enabled.</source>
        <translation>Hält Container vom Netz dieses Computers fern. Solange es an ist, ist das Host-Netzwerk aus und lässt sich nicht einschalten.</translation>
    </message>
</context>
<context>
    <name>NothingFound</name>
    <message>
        <source>No port matches</source>
        <translation>Kein Port passt</translation>
    </message>
    <message>
        <source>Clear the fi&amp;lter</source>
        <translation>Fi&amp;lter aufheben</translation>
    </message>
    <message>
        <source>Shows all ports again</source>
        <translation>Zeigt wieder alle Ports</translation>
    </message>
    <message numerus="yes">
        <source>%n port(s) do not match what you look for.</source>
        <translation>
            <numerusform>%n Port passt nicht zum Gesuchten.</numerusform>
            <numerusform>%n Ports passen nicht zum Gesuchten.</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>PortActions</name>
    <message>
        <source>Copy &amp;address</source>
        <translation>&amp;Adresse kopieren</translation>
    </message>
    <message>
        <source>&amp;Open in browser</source>
        <translation>Im Browser ö&amp;ffnen</translation>
    </message>
    <message>
        <source>&amp;Ignore this port</source>
        <translation>Diesen Port &amp;ignorieren</translation>
    </message>
    <message>
        <source>Stop &amp;ignoring</source>
        <translation>N&amp;icht mehr ignorieren</translation>
    </message>
    <message>
        <source>&amp;Go to the setting</source>
        <translation>&amp;Zur Einstellung</translation>
    </message>
    <message>
        <source>Ignored ports cannot be changed: {why}</source>
        <translation>Die ignorierten Ports lassen sich nicht ändern: {why}</translation>
    </message>
    <message>
        <source>Show where this is set, on the page Network</source>
        <translation>Zeigen, wo das eingestellt wird, auf der Seite Netzwerk</translation>
    </message>
    <message>
        <source>Select a port first</source>
        <translation>Zuerst einen Port auswählen</translation>
    </message>
    <message numerus="yes">
        <source>Copy %n address(es), one a line</source>
        <translation>
            <numerusform>%n Adresse kopieren</numerusform>
            <numerusform>%n Adressen kopieren, eine je Zeile</numerusform>
        </translation>
    </message>
    <message>
        <source>Copy {address}</source>
        <translation>{address} kopieren</translation>
    </message>
    <message>
        <source>Open {url}</source>
        <translation>{url} öffnen</translation>
    </message>
    <message>
        <source>Only active TCP ports can be opened</source>
        <translation>Nur aktive TCP-Ports lassen sich öffnen</translation>
    </message>
    <message>
        <source>Samehost leaves this port alone by itself, not by a rule of yours</source>
        <translation>Samehost lässt diesen Port von sich aus aus, nicht wegen einer Ihrer Regeln</translation>
    </message>
    <message>
        <source>Take {rules} out of the ignored ports</source>
        <translation>{rules} aus den ignorierten Ports nehmen</translation>
    </message>
    <message>
        <source>Add {rules} to the ignored ports</source>
        <translation>{rules} zu den ignorierten Ports hinzufügen</translation>
    </message>
    <message>
        <source>Copied</source>
        <translation>Kopiert</translation>
    </message>
</context>
<context>
    <name>PortDetails</name>
    <message>
        <source>No port is selected</source>
        <translation>Kein Port ist ausgewählt</translation>
    </message>
    <message>
        <source>Select one in the table to see why it is as it is, whose it is, and its traffic.</source>
        <translation>Wählen Sie einen in der Tabelle aus, um zu sehen, warum er so ist, wem er gehört und was durch ihn geht.</translation>
    </message>
    <message>
        <source>{state}: {protocol} {address}, {direction}</source>
        <translation>{state}: {protocol} {address}, {direction}</translation>
    </message>
    <message>
        <source>In {into} (solid)
Out {out} (dashed)
At most {highest} in the last minute</source>
        <translation>Ein {into} (durchgezogen)
Aus {out} (gestrichelt)
Höchstens {highest} in der letzten Minute</translation>
    </message>
    <message>
        <source>{moment} ({age} ago)</source>
        <translation>{moment} (vor {age})</translation>
    </message>
    <message>
        <source>{into} in, {out} out</source>
        <translation>{into} ein, {out} aus</translation>
    </message>
    <message>
        <source>Container:</source>
        <translation>Container:</translation>
    </message>
    <message>
        <source>Image:</source>
        <translation>Image:</translation>
    </message>
    <message>
        <source>Id:</source>
        <translation>ID:</translation>
    </message>
    <message>
        <source>Program:</source>
        <translation>Programm:</translation>
    </message>
    <message>
        <source>Labels:</source>
        <translation>Labels:</translation>
    </message>
    <message>
        <source>Machine:</source>
        <translation>Maschine:</translation>
    </message>
    <message>
        <source>In the machine:</source>
        <translation>In der Maschine:</translation>
    </message>
    <message>
        <source>Since:</source>
        <translation>Seit:</translation>
    </message>
    <message>
        <source>Flows:</source>
        <translation>Verbindungen:</translation>
    </message>
    <message>
        <source>Total:</source>
        <translation>Gesamt:</translation>
    </message>
    <message>
        <source>Details of the selected port</source>
        <translation>Einzelheiten des ausgewählten Ports</translation>
    </message>
</context>
<context>
    <name>PortTable</name>
    <message>
        <source>Ports</source>
        <translation>Ports</translation>
    </message>
    <message>
        <source>All ports that are the same on both sides, live</source>
        <translation>Alle Ports, die auf beiden Seiten gleich sind, laufend aktuell</translation>
    </message>
    <message>
        <source>&amp;Sort by</source>
        <translation>&amp;Sortieren nach</translation>
    </message>
    <message>
        <source>&amp;Usual columns</source>
        <translation>&amp;Übliche Spalten</translation>
    </message>
    <message>
        <source>&amp;Ascending</source>
        <translation>&amp;Aufsteigend</translation>
    </message>
    <message>
        <source>&amp;Descending</source>
        <translation>A&amp;bsteigend</translation>
    </message>
</context>
<context>
    <name>PortsPage</name>
    <message>
        <source>Ignored from now on: {rules}</source>
        <translation>Ab jetzt ignoriert: {rules}</translation>
    </message>
    <message>
        <source>No longer ignored: {rules}</source>
        <translation>Nicht mehr ignoriert: {rules}</translation>
    </message>
    <message>
        <source>&amp;Undo</source>
        <translation>&amp;Rückgängig</translation>
    </message>
    <message>
        <source>No browser could be opened.</source>
        <translation>Es ließ sich kein Browser öffnen.</translation>
    </message>
    <message>
        <source>Copy the address into one: {url}</source>
        <translation>Die Adresse in einen kopieren: {url}</translation>
    </message>
    <message>
        <source>{names} …</source>
        <translation>{names} …</translation>
    </message>
    <message>
        <source>Ports</source>
        <translation>Ports</translation>
    </message>
</context>
<context>
    <name>Program</name>
    <message>
        <source>Samehost goes on</source>
        <translation>Samehost läuft weiter</translation>
    </message>
    <message>
        <source>Its window is behind this icon. Quit ends the icon, too.</source>
        <translation>Das Fenster ist hinter diesem Symbol. „Beenden“ beendet auch das Symbol.</translation>
    </message>
</context>
<context>
    <name>QuestionDialog</name>
    <message>
        <source>A machine asks</source>
        <translation>Eine Maschine fragt</translation>
    </message>
    <message>
        <source>&amp;Answer:</source>
        <translation>&amp;Antwort:</translation>
    </message>
    <message>
        <source>{} asks:</source>
        <translation>{} fragt:</translation>
    </message>
    <message>
        <source>It asks:</source>
        <translation>Sie fragt:</translation>
    </message>
    <message>
        <source>The words in the frame come from the machine or its server, not from Samehost. The answer is sent there, and is not stored.</source>
        <translation>Die Worte im Rahmen kommen von der Maschine oder ihrem Server, nicht von Samehost. Die Antwort wird dorthin gesendet und nicht gespeichert.</translation>
    </message>
    <message>
        <source>Answer</source>
        <translation>Antwort</translation>
    </message>
    <message>
        <source>Send the answer to the machine</source>
        <translation>Die Antwort an die Maschine senden</translation>
    </message>
    <message>
        <source>Do not answer: what is under way then fails</source>
        <translation>Nicht antworten: was im Gange ist, schlägt dann fehl</translation>
    </message>
</context>
<context>
    <name>Searching</name>
    <message>
        <source>Nobody has looked for machines yet.</source>
        <translation>Es wurde noch nicht nach Maschinen gesucht.</translation>
    </message>
    <message>
        <source>Looking for machines…</source>
        <translation>Maschinen werden gesucht…</translation>
    </message>
    <message>
        <source>The search was given up.</source>
        <translation>Die Suche wurde abgebrochen.</translation>
    </message>
    <message>
        <source>the daemon says what is not understood: {}</source>
        <translation>der Dienst sagt Unverständliches: {}</translation>
    </message>
    <message>
        <source>samehost down, then samehost up</source>
        <translation>samehost down, dann samehost up</translation>
    </message>
    <message numerus="yes">
        <source>%n machine(s) found, at {}.</source>
        <translation>
            <numerusform>%n Maschine gefunden, um {}.</numerusform>
            <numerusform>%n Maschinen gefunden, um {}.</numerusform>
        </translation>
    </message>
    <message>
        <source>The search failed.</source>
        <translation>Die Suche ist fehlgeschlagen.</translation>
    </message>
    <message>
        <source>Stop &amp;looking</source>
        <translation>Suche &amp;beenden</translation>
    </message>
    <message>
        <source>&amp;Look again</source>
        <translation>Erneut su&amp;chen</translation>
    </message>
    <message>
        <source>Give the search up</source>
        <translation>Die Suche abbrechen</translation>
    </message>
    <message>
        <source>Ask all tools for their machines, which takes seconds</source>
        <translation>Alle Werkzeuge nach ihren Maschinen fragen; das dauert Sekunden</translation>
    </message>
    <message>
        <source>Looking for machines</source>
        <translation>Suche nach Maschinen</translation>
    </message>
    <message>
        <source>How long it takes is not known</source>
        <translation>Wie lange es dauert, ist nicht bekannt</translation>
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
        <translation>starten: samehost up</translation>
    </message>
</context>
<context>
    <name>Sparkline</name>
    <message>
        <source>Traffic of the last minute</source>
        <translation>Verkehr der letzten Minute</translation>
    </message>
    <message>
        <source>In {into}, out {out}; at most {highest} in the last minute.</source>
        <translation>Ein {into}, aus {out}; höchstens {highest} in der letzten Minute.</translation>
    </message>
</context>
<context>
    <name>StopDialog</name>
    <message>
        <source>All its containers stop.</source>
        <translation>Alle ihre Container enden.</translation>
    </message>
    <message numerus="yes">
        <source>%n port(s) on this computer close.</source>
        <translation>
            <numerusform>%n Port auf diesem Computer schließt sich.</numerusform>
            <numerusform>%n Ports auf diesem Computer schließen sich.</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>%n connection(s) end.</source>
        <translation>
            <numerusform>%n Verbindung endet.</numerusform>
            <numerusform>%n Verbindungen enden.</numerusform>
        </translation>
    </message>
    <message>
        <source>A sandbox goes with all that is in it, images and volumes, too.</source>
        <translation>Eine Sandbox verschwindet mit allem, was darin ist, auch Images und Volumes.</translation>
    </message>
    <message>
        <source>Stop a machine</source>
        <translation>Eine Maschine anhalten</translation>
    </message>
    <message>
        <source>Stop {}?</source>
        <translation>{} anhalten?</translation>
    </message>
    <message>
        <source>&amp;Stop it</source>
        <translation>An&amp;halten</translation>
    </message>
    <message>
        <source>Stop the machine now</source>
        <translation>Die Maschine jetzt anhalten</translation>
    </message>
    <message>
        <source>Let it run</source>
        <translation>Laufen lassen</translation>
    </message>
</context>
<context>
    <name>TableField</name>
    <message>
        <source>Add</source>
        <translation>Hinzufügen</translation>
    </message>
    <message>
        <source>Edit</source>
        <translation>Bearbeiten</translation>
    </message>
    <message>
        <source>Remove</source>
        <translation>Entfernen</translation>
    </message>
    <message>
        <source>an empty list</source>
        <translation>eine leere Liste</translation>
    </message>
    <message>
        <source>{rule} is there twice. Remove one of them.</source>
        <translation>{rule} ist doppelt da. Entfernen Sie eine davon.</translation>
    </message>
    <message>
        <source>Insert adds a row, F2 edits it, Delete removes it. Rows can be copied and pasted as text.</source>
        <translation>Einfg fügt eine Zeile hinzu, F2 bearbeitet sie, Entf entfernt sie. Zeilen lassen sich als Text kopieren und einfügen.</translation>
    </message>
</context>
<context>
    <name>Tray</name>
    <message>
        <source>&amp;Start Samehost</source>
        <translation>Samehost &amp;starten</translation>
    </message>
    <message>
        <source>&amp;Enable host networking</source>
        <translation>&amp;Host-Netzwerk einschalten</translation>
    </message>
    <message>
        <source>No port was used yet</source>
        <translation>Noch kein Port wurde benutzt</translation>
    </message>
    <message>
        <source>&amp;Open Samehost</source>
        <translation>Samehost ö&amp;ffnen</translation>
    </message>
    <message>
        <source>&amp;Quit</source>
        <translation>&amp;Beenden</translation>
    </message>
    <message>
        <source>Copy the address</source>
        <translation>Die Adresse kopieren</translation>
    </message>
    <message>
        <source>Samehost</source>
        <translation>Samehost</translation>
    </message>
</context>
<context>
    <name>Window</name>
    <message>
        <source>Samehost</source>
        <translation>Samehost</translation>
    </message>
    <message>
        <source>{page} · Samehost</source>
        <translation>{page} · Samehost</translation>
    </message>
    <message>
        <source>Some changes are not applied.</source>
        <translation>Manche Änderungen sind nicht angewendet.</translation>
    </message>
    <message>
        <source>If Samehost&apos;s window is quit now, they are lost.</source>
        <translation>Wird das Fenster jetzt beendet, gehen sie verloren.</translation>
    </message>
</context>
<context>
    <name>Work</name>
    <message>
        <source>{}: given up. The table shows how it is now.</source>
        <translation>{}: abgebrochen. Die Tabelle zeigt, wie es jetzt ist.</translation>
    </message>
</context>
<context>
    <name>busiest</name>
    <message numerus="yes">
        <source>%n flow(s)</source>
        <translation>
            <numerusform>%n Verbindung</numerusform>
            <numerusform>%n Verbindungen</numerusform>
        </translation>
    </message>
</context>
<context>
    <name>notices</name>
    <message>
        <source>{port} may not be opened</source>
        <translation>{port} darf nicht geöffnet werden</translation>
    </message>
    <message>
        <source>{port} is in use already</source>
        <translation>{port} ist schon belegt</translation>
    </message>
    <message numerus="yes">
        <source>%n port(s) cannot be opened</source>
        <translation>
            <numerusform>%n Port kann nicht geöffnet werden</numerusform>
            <numerusform>%n Ports können nicht geöffnet werden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>and %n more</source>
        <translation>
            <numerusform>und %n weiterer</numerusform>
            <numerusform>und %n weitere</numerusform>
        </translation>
    </message>
    <message>
        <source>{protocol} port {port} of {owner}</source>
        <translation>{protocol}-Port {port} von {owner}</translation>
    </message>
    <message>
        <source>{protocol} port {port}</source>
        <translation>{protocol}-Port {port}</translation>
    </message>
</context>
<context>
    <name>pages</name>
    <message>
        <source>General</source>
        <translation>Allgemein</translation>
    </message>
    <message>
        <source>Network</source>
        <translation>Netzwerk</translation>
    </message>
    <message>
        <source>Ports</source>
        <translation>Ports</translation>
    </message>
    <message>
        <source>Machine</source>
        <translation>Maschine</translation>
    </message>
    <message>
        <source>About</source>
        <translation>Über</translation>
    </message>
    <message>
        <source>Resources</source>
        <translation>Ressourcen</translation>
    </message>
</context>
<context>
    <name>ports</name>
    <message>
        <source>On this computer</source>
        <translation>Auf diesem Computer</translation>
    </message>
    <message>
        <source>Protocol</source>
        <translation>Protokoll</translation>
    </message>
    <message>
        <source>State</source>
        <translation>Zustand</translation>
    </message>
    <message>
        <source>Direction</source>
        <translation>Richtung</translation>
    </message>
    <message>
        <source>Container</source>
        <translation>Container</translation>
    </message>
    <message>
        <source>Program</source>
        <translation>Programm</translation>
    </message>
    <message>
        <source>In the machine</source>
        <translation>In der Maschine</translation>
    </message>
    <message>
        <source>Machine</source>
        <translation>Maschine</translation>
    </message>
    <message>
        <source>Flows</source>
        <translation>Verbindungen</translation>
    </message>
    <message>
        <source>In</source>
        <translation>Ein</translation>
    </message>
    <message>
        <source>Out</source>
        <translation>Aus</translation>
    </message>
    <message>
        <source>Age</source>
        <translation>Alter</translation>
    </message>
    <message>
        <source>Address and port that programs here use</source>
        <translation>Adresse und Port, die Programme hier verwenden</translation>
    </message>
    <message>
        <source>Who listens, and where it can be reached</source>
        <translation>Wer lauscht, und wo es erreichbar ist</translation>
    </message>
    <message>
        <source>Address and port that containers use</source>
        <translation>Adresse und Port, die Container verwenden</translation>
    </message>
    <message>
        <source>Connections and UDP conversations open now</source>
        <translation>Jetzt offene Verbindungen und UDP-Vorgänge</translation>
    </message>
    <message>
        <source>Bytes a second to programs on this computer</source>
        <translation>Bytes pro Sekunde zu Programmen auf diesem Computer</translation>
    </message>
    <message>
        <source>Bytes a second from programs on this computer</source>
        <translation>Bytes pro Sekunde von Programmen auf diesem Computer</translation>
    </message>
    <message>
        <source>How long the row has been in this state</source>
        <translation>Wie lange die Zeile in diesem Zustand ist</translation>
    </message>
    <message>
        <source>container → this computer</source>
        <translation>Container → dieser Computer</translation>
    </message>
    <message>
        <source>this computer → container</source>
        <translation>dieser Computer → Container</translation>
    </message>
    <message>
        <source>Active</source>
        <translation>Aktiv</translation>
    </message>
    <message>
        <source>Pending</source>
        <translation>Wartet</translation>
    </message>
    <message>
        <source>Conflict</source>
        <translation>Konflikt</translation>
    </message>
    <message>
        <source>Denied</source>
        <translation>Verweigert</translation>
    </message>
    <message>
        <source>Ignored</source>
        <translation>Ignoriert</translation>
    </message>
    <message>
        <source>Paused</source>
        <translation>Pausiert</translation>
    </message>
    <message>
        <source>Guarded</source>
        <translation>Bewacht</translation>
    </message>
    <message>
        <source>{state}, guarded</source>
        <translation>{state}, bewacht</translation>
    </message>
    <message>
        <source>{size}/s</source>
        <translation>{size}/s</translation>
    </message>
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
    <name>states</name>
    <message>
        <source>&amp;Start Samehost</source>
        <translation>Samehost &amp;starten</translation>
    </message>
    <message>
        <source>&amp;Enable host networking</source>
        <translation>&amp;Host-Netzwerk einschalten</translation>
    </message>
    <message>
        <source>&amp;Connect to the machine</source>
        <translation>Mit der Maschine &amp;verbinden</translation>
    </message>
    <message>
        <source>Choose a &amp;machine</source>
        <translation>&amp;Maschine wählen</translation>
    </message>
    <message>
        <source>Show the &amp;switch</source>
        <translation>&amp;Schalter zeigen</translation>
    </message>
    <message>
        <source>&amp;Try again</source>
        <translation>&amp;Erneut versuchen</translation>
    </message>
    <message>
        <source>Samehost could not be started</source>
        <translation>Samehost konnte nicht gestartet werden</translation>
    </message>
    <message>
        <source>Samehost is not running</source>
        <translation>Samehost läuft nicht</translation>
    </message>
    <message>
        <source>Ports of containers are on this computer&apos;s localhost only while Samehost runs in the background. It goes on when this window is closed.</source>
        <translation>Ports von Containern sind nur auf dem localhost dieses Computers, solange Samehost im Hintergrund läuft. Es läuft weiter, wenn dieses Fenster geschlossen wird.</translation>
    </message>
    <message>
        <source>This takes a moment.</source>
        <translation>Das dauert einen Augenblick.</translation>
    </message>
    <message>
        <source>Samehost is starting</source>
        <translation>Samehost startet</translation>
    </message>
    <message>
        <source>Asking the Samehost that runs in the background.</source>
        <translation>Das Samehost im Hintergrund wird gefragt.</translation>
    </message>
    <message>
        <source>Connecting to Samehost</source>
        <translation>Verbindung zu Samehost</translation>
    </message>
    <message>
        <source>It runs, but says nothing. Perhaps this computer is very busy; if it lasts, stop it and start it again.</source>
        <translation>Es läuft, sagt aber nichts. Vielleicht ist dieser Computer sehr beschäftigt; wenn es anhält, beenden Sie es und starten Sie es neu.</translation>
    </message>
    <message>
        <source>Samehost does not answer</source>
        <translation>Samehost antwortet nicht</translation>
    </message>
    <message>
        <source>What runs in the background is of another version than this window. Stop it, and start the one that is installed now.</source>
        <translation>Was im Hintergrund läuft, hat eine andere Version als dieses Fenster. Beenden Sie es, und starten Sie das jetzt installierte.</translation>
    </message>
    <message>
        <source>Another version of Samehost is running</source>
        <translation>Eine andere Version von Samehost läuft</translation>
    </message>
    <message>
        <source>It belongs to another user, and only that user and root may change it.</source>
        <translation>Es gehört einem anderen Benutzer, und nur dieser und root dürfen es ändern.</translation>
    </message>
    <message>
        <source>This Samehost is not yours</source>
        <translation>Dieses Samehost gehört Ihnen nicht</translation>
    </message>
    <message>
        <source>No machine was found</source>
        <translation>Keine Maschine gefunden</translation>
    </message>
    <message>
        <source>Containers run in a Linux machine. Install Lima, Colima, Podman or Rancher Desktop and start its machine: it is found by itself.</source>
        <translation>Container laufen in einer Linux-Maschine. Installieren Sie Lima, Colima, Podman oder Rancher Desktop und starten Sie deren Maschine: sie wird von selbst gefunden.</translation>
    </message>
    <message>
        <source>Containers run in a Linux machine. Install a distribution of WSL 2, Podman or Rancher Desktop and start it: it is found by itself.</source>
        <translation>Container laufen in einer Linux-Maschine. Installieren Sie eine Distribution von WSL 2, Podman oder Rancher Desktop und starten Sie sie: sie wird von selbst gefunden.</translation>
    </message>
    <message>
        <source>Containers run in a Linux machine. Install Lima, Colima or Podman and start its machine: it is found by itself. Or, as root and with the package docker.io installed, let “samehost up” make a sandbox with a Docker Engine of its own.</source>
        <translation>Container laufen in einer Linux-Maschine. Installieren Sie Lima, Colima oder Podman und starten Sie deren Maschine: sie wird von selbst gefunden. Oder lassen Sie, als root und mit dem Paket docker.io, „samehost up“ eine Sandbox mit eigener Docker Engine anlegen.</translation>
    </message>
    <message>
        <source>Host networking is off</source>
        <translation>Host-Netzwerk ist aus</translation>
    </message>
    <message>
        <source>It is locked, and cannot be turned on here.</source>
        <translation>Es ist gesperrt und lässt sich hier nicht einschalten.</translation>
    </message>
    <message>
        <source>Turned on, every port that a container started with --net=host opens is open on this computer&apos;s localhost, and the container reaches this computer&apos;s localhost. No container is restarted.</source>
        <translation>Eingeschaltet ist jeder Port, den ein mit --net=host gestarteter Container öffnet, auf dem localhost dieses Computers offen, und der Container erreicht den localhost dieses Computers. Kein Container wird neu gestartet.</translation>
    </message>
    <message>
        <source>Connecting to the machine {name}</source>
        <translation>Verbindung zur Maschine {name}</translation>
    </message>
    <message>
        <source>It does not answer any more: perhaps it sleeps, or was stopped; then start it on the page Machine. Samehost goes on trying, and its ports come back with it.</source>
        <translation>Sie antwortet nicht mehr: vielleicht schläft sie oder wurde angehalten; dann starten Sie sie auf der Seite Maschine. Samehost versucht es weiter, und ihre Ports kommen mit ihr zurück.</translation>
    </message>
    <message>
        <source>Ports appear as soon as it answers.</source>
        <translation>Ports erscheinen, sobald sie antwortet.</translation>
    </message>
    <message>
        <source>The machine {name} has gone</source>
        <translation>Die Maschine {name} ist verschwunden</translation>
    </message>
    <message>
        <source>Something has run short</source>
        <translation>Etwas ist knapp geworden</translation>
    </message>
    <message>
        <source>The machine {name} cannot be reached</source>
        <translation>Die Maschine {name} ist nicht erreichbar</translation>
    </message>
    <message>
        <source>See whether it runs, and what keeps Samehost from it.</source>
        <translation>Sehen Sie nach, ob sie läuft und was Samehost von ihr fernhält.</translation>
    </message>
    <message>
        <source>No machine is connected</source>
        <translation>Keine Maschine ist verbunden</translation>
    </message>
    <message>
        <source>Containers run in a Linux machine, and Samehost is connected to none. Connect to the one of the settings or one that runs, or choose on the page Machine.</source>
        <translation>Container laufen in einer Linux-Maschine, und Samehost ist mit keiner verbunden. Verbinden Sie mit der aus den Einstellungen oder einer, die läuft, oder wählen Sie auf der Seite Maschine.</translation>
    </message>
    <message>
        <source>No ports yet</source>
        <translation>Noch keine Ports</translation>
    </message>
    <message>
        <source>Start a container with --net=host that listens on a port, and it appears here at once. For example, this one, which then answers on localhost:8000:</source>
        <translation>Starten Sie mit --net=host einen Container, der auf einem Port lauscht, und er erscheint sofort hier. Zum Beispiel diesen, der dann auf localhost:8000 antwortet:</translation>
    </message>
</context>
<context>
    <name>tray</name>
    <message>
        <source>Samehost is not running</source>
        <translation>Samehost läuft nicht</translation>
    </message>
    <message>
        <source>Samehost is starting</source>
        <translation>Samehost startet</translation>
    </message>
    <message>
        <source>Samehost does not answer</source>
        <translation>Samehost antwortet nicht</translation>
    </message>
    <message>
        <source>Another version of Samehost is running</source>
        <translation>Eine andere Version von Samehost läuft</translation>
    </message>
    <message>
        <source>This Samehost is not yours</source>
        <translation>Dieses Samehost gehört Ihnen nicht</translation>
    </message>
    <message>
        <source>Connecting to Samehost</source>
        <translation>Verbindung zu Samehost</translation>
    </message>
    <message>
        <source>Host networking is off</source>
        <translation>Host-Netzwerk ist aus</translation>
    </message>
    <message>
        <source>The machine {name} cannot be reached</source>
        <translation>Die Maschine {name} ist nicht erreichbar</translation>
    </message>
    <message>
        <source>Host networking is on, but no machine is connected</source>
        <translation>Host-Netzwerk ist an, aber keine Maschine ist verbunden</translation>
    </message>
    <message>
        <source>Host networking is on, but something has run short</source>
        <translation>Host-Netzwerk ist an, aber etwas ist knapp geworden</translation>
    </message>
    <message numerus="yes">
        <source>Host networking is on, but %n port(s) cannot be opened</source>
        <translation>
            <numerusform>Host-Netzwerk ist an, aber %n Port kann nicht geöffnet werden</numerusform>
            <numerusform>Host-Netzwerk ist an, aber %n Ports können nicht geöffnet werden</numerusform>
        </translation>
    </message>
    <message numerus="yes">
        <source>Host networking is on: %n open port(s)</source>
        <translation>
            <numerusform>Host-Netzwerk ist an: %n offener Port</numerusform>
            <numerusform>Host-Netzwerk ist an: %n offene Ports</numerusform>
        </translation>
    </message>
</context>
</TS>
