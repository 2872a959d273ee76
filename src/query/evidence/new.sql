-- Addresses that no report tells of that ended before a window, but one in it.
SELECT id FROM address WHERE first_at >= :since AND first_at < :until
