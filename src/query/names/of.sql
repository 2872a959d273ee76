-- What `enrich` found out about these addresses (a JSON array), where it has looked them up.
SELECT s.ip AS source_ip, n.looked_up_at, n.expires_at, n.outcome, n.name, n.names, n.asn, n.as_owner, n.country, n.network,
       n.listed, n.list_errors, n.provider
FROM json_each(:ips) j CROSS JOIN address s ON s.ip = j.value JOIN source_name n ON n.source = s.id
