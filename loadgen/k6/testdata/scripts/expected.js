// Which statuses are right: of the whole script, of one request, and when nobody is to judge.
import http from 'k6/http';
import { check } from 'k6';

http.setResponseCallback(http.expectedStatuses({ min: 200, max: 399 }, 404));

export const options = { vus: 2, iterations: 6 };

export default function () {
  const missing = http.get(`${__ENV.HTTP}/status/404`);
  const refused = http.get(`${__ENV.HTTP}/status/403`, { responseCallback: http.expectedStatuses(403) });
  const wrong = http.get(`${__ENV.HTTP}/status/200`, { responseCallback: http.expectedStatuses(201) });
  const whatever = http.get(`${__ENV.HTTP}/status/500`, { responseCallback: null });
  const broken = http.get(`${__ENV.HTTP}/status/500`);
  check(null, { statuses: () => [missing, refused, wrong, whatever, broken].map((a) => a.status).join() === '404,403,200,500,500' });
}
