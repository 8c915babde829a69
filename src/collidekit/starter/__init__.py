"""``collidekit init``: a commented analysis file from a look at the files of a user."""
