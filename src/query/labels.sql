-- What the user said about sources: a row for each label ever put on by hand, so that there are few.
SELECT subject, class, name, note, at, author FROM label WHERE subject >= '' ORDER BY subject
