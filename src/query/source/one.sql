-- The number of one sending address.
SELECT id, ip FROM address WHERE ip = :ip
