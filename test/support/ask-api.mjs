/** `api METHOD path [json]` of docs/first-sync.md, for machines without curl. Fails when the API refuses. */
const [method = 'GET', path, body] = process.argv.slice(2);
const { PENSTOCK_API_URL: url, PENSTOCK_API_KEY: key } = process.env;
const response = await fetch(`${url}/v1/${path}`, {
  method,
  headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  ...(body !== undefined && { body }),
});
process.stdout.write(`${await response.text()}\n`);
process.exitCode = response.ok ? 0 : 1;
