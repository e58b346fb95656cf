"""A page on this machine that teaches what a Gaussian mixture is and what EM does, step by step.

sets.py      the ready-made points
answers.py   what is asked of the library, and its answers: pure functions from dict to dict
server.py    the same over HTTP, for this machine alone
page.html    the page, with page.css; nothing is computed there
page.js      where its script begins; of what this imports
    state.js     is what the page knows
    text.js      words, numbers and elements
    asking.js    questions to the server
    steps.js     what a reader can do, and what is asked for it
    plane.js     the planes and the curve
    tables.js    the tables and the controls
    hand.js      the pointer and the keys
    lessons.js   the lessons, step by step
words.*.json every word of it, in English and in Japanese
"""
