-- A sending address by its number, and the end of the first period in which it was seen.
SELECT ip, first_at FROM address WHERE id = ?1
