-- What speaks for or against mailing one address, in order.
SELECT e.kind, e.scope, e.at, e.until_at, e.reason, e.author, e.complaint, c.provider, c.trusted, c.trust_reason, m.origin
FROM suppression_event e LEFT JOIN complaint c ON c.id = e.complaint LEFT JOIN message m ON m.id = c.message
WHERE e.folded = :folded
ORDER BY e.at, e.id
