"""Other people's formats of a finished run: pages, tables, pictures, settings files, notebook cards."""
