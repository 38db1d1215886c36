"""What real tools print, for the tests of the finders: one module per tool.

Each says what was recorded, with which version, and what was put together by hand from which source
file of the tool. Names of people and folders were replaced by `ada`, `/Users/ada`, `/home/ada`.
"""
