-- What happened to every address, in order. The index has all of it, so that the table is not read.
SELECT folded, scope, at, kind, until_at, address, reason, author, complaint, bounce
FROM suppression_event
WHERE (:scope IS NULL OR scope = '' OR scope = :scope)
ORDER BY folded, scope, at, id
