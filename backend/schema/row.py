"""What all tables of the backend have in common."""

from __future__ import annotations

from peewee import Model
from playhouse.apsw_ext import APSWDatabase


class Row(Model):
    class Meta:
        legacy_table_names = False
        database = APSWDatabase(None)  # `database.open_database` binds the real one
