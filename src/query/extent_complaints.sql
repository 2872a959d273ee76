-- First and last arrival of complaints.
SELECT (SELECT min(arrived_at) FROM complaint) AS oldest,
       coalesce((SELECT max(arrived_at) FROM complaint WHERE arrived_at < :horizon),
                (SELECT max(arrived_at) FROM complaint)) AS newest,
       (SELECT max(arrived_at) FROM complaint) AS last
