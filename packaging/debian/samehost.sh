#!/bin/sh
exec /usr/lib/samehost/bin/python -P -m desktop.cli.main "$@"
