// Cookies that outlive their iteration, because the script says so.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 1, iterations: 3, noCookiesReset: true };

export default function () {
  const answer = http.get(`${__ENV.HTTP}/cookies`);
  check(answer, { kept: (a) => __ITER === 0 || a.json('session') === 's1' });
  http.cookieJar().set(__ENV.HTTP, 'session', 's1');
}
