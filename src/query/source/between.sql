-- Sending addresses between two texts: those of a network begin alike.
SELECT id, ip FROM address WHERE ip >= :from AND ip < :to ORDER BY ip
