-- The kind of the newest event of one address and From domain that says what the state of it says.
SELECT kind FROM suppression_event
WHERE folded = :folded AND scope = :scope AND kind <> 'lift' AND reason = :reason AND until_at IS :until_at
ORDER BY at DESC, id DESC LIMIT 1
