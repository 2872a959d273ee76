-- How the reports of one reporter deviate: each deviation with how often, and the newest as an example. SQLite takes
-- `place` and `text` from the row that has the maximum (bare columns in an aggregate query).
SELECT w.code, count(DISTINCT r.id) AS reports, CAST(total(w.times) AS INTEGER) AS times, max(r.id) AS example_report,
       w.place, w.text
FROM report r CROSS JOIN warning w ON w.report = r.id
WHERE r.org_name = :org AND r.end_at >= :since AND r.end_at < :until
GROUP BY w.code
ORDER BY times DESC, w.code
