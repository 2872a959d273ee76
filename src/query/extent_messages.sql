-- First and last time a message was kept.
SELECT (SELECT min(seen_at) FROM message) AS oldest,
       (SELECT max(seen_at) FROM message) AS newest,
       (SELECT max(seen_at) FROM message) AS last
