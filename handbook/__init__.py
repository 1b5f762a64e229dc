"""The code of the documentation: it writes the pages of docs/reference/, and reads the blocks of all pages.

In: the package as it is. Out: Markdown that holds no fact of its own. Not shipped.
"""
