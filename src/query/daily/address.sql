-- One address.
SELECT ip FROM address WHERE id = :id
