-- Addresses with how many messages they sent, those of the most first, out of a JSON array of their numbers, messages, and combinations
-- of SPF results, [[1, 120, [7, 8]], …], with a name that each said in EHLO (the domain of SPF results of scope `helo`).
SELECT s.ip AS source_ip, j.value ->> 1 AS messages,
       (SELECT max(t.value) FROM json_each(j.value, '$[2]') k
        CROSS JOIN spf_result p ON p.spf_set = k.value JOIN text t ON t.id = p.domain WHERE p.scope = 'helo') AS helo
FROM json_each(:sums) j CROSS JOIN address s ON s.id = j.value ->> 0
ORDER BY messages DESC, s.ip
LIMIT :limit
