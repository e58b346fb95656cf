"""A page on this machine that teaches what a Gaussian mixture is and what EM does, step by step.

sets.py      the ready-made points
answers.py   what is asked of the library, and its answers: pure functions from dict to dict
server.py    the same over HTTP, for this machine alone
page.*       what is drawn; nothing is computed there
words.*.json every word of it, in English and in Japanese
"""
