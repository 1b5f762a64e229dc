"""The one database: answers (cache), money (ledger) and runs. SQLite file, or another by URL."""
