-- When the first and the last bounce were told of.
SELECT (SELECT min(told_at) FROM bounce) AS oldest,
       coalesce((SELECT max(told_at) FROM bounce WHERE told_at < :horizon),
                (SELECT max(told_at) FROM bounce)) AS newest,
       (SELECT max(told_at) FROM bounce) AS last
