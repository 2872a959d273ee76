-- The last digest handed out by `digest --if-changed`.
SELECT at, findings FROM digest_state WHERE id = 1
