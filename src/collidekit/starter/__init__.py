"""``collidekit init``: write a commented analysis file for the files of a user."""
