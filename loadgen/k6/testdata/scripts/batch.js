// Requests side by side: in a batch of each shape, and as promises.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6, batch: 4, batchPerHost: 2 };

export default async function () {
  const listed = http.batch([
    ['GET', `${__ENV.HTTP}/one`],
    ['POST', `${__ENV.HTTP}/echo`, 'two', { headers: { 'X-Order': '2' } }],
    { method: 'PUT', url: `${__ENV.HTTP}/echo`, body: 'three' },
    `${__ENV.HTTP}/status/500`,
  ]);
  const named = http.batch({ lamp: `${__ENV.HTTP}/lamp`, camel: `${__ENV.HTTP}/camel` });
  const first = http.asyncRequest('GET', `${__ENV.HTTP}/one`);
  const [second, third] = await Promise.all([
    http.asyncRequest('POST', `${__ENV.HTTP}/echo`, 'two'),
    http.asyncRequest('GET', `${__ENV.HTTP}/status/404`),
  ]);
  check(listed, {
    listed: (l) => l[1].json('headers.X-Order.0') === '2' && l[2].json('method') === 'PUT' && l[3].status === 500,
    named: () => named.lamp.status === 200 && named.camel.body === 'welcome',
    promised: () => second.json('body') === 'two' && third.status === 404,
  });
  check(await first, { 'in its own time': (a) => a.status === 200 });
}
