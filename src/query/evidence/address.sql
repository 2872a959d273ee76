-- The end of the first period in which a sending address was seen, by its number.
SELECT first_at FROM address WHERE id = ?1
