-- Senders of complaints whom a person trusts now.
SELECT e.sender, e.unauthenticated, e.at, e.author, e.reason
FROM trust_event e
WHERE e.kind = 'add' AND NOT EXISTS (SELECT 1 FROM trust_event n WHERE n.sender = e.sender AND n.id > e.id)
ORDER BY e.sender
