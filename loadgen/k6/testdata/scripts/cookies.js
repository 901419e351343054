// Cookies: set by answers, by the request, by hand in the jar; forgotten when the iteration ends.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6 };

export default function () {
  const before = http.get(`${__ENV.HTTP}/cookies`);
  const set = http.get(`${__ENV.HTTP}/cookies/set?session=s1`);
  const sent = http.get(`${__ENV.HTTP}/cookies`, { cookies: { coupon: 'c1', session: { value: 's2', replace: true } } });
  const jar = http.cookieJar();
  jar.set(__ENV.HTTP, 'lang', 'fa', { path: '/', max_age: 60 });
  const after = http.get(`${__ENV.HTTP}/cookies`);
  const other = http.get(`${__ENV.HTTP}/cookies`, { jar: new http.CookieJar() });
  check(null, {
    'none to begin with': () => before.body.trim() === '{}',
    'from an answer': () => set.json('session') === 's1',
    'of one request': () => sent.json('session') === 's2' && sent.json('coupon') === 'c1',
    'from the jar': () => after.json('lang') === 'fa' && jar.cookiesForURL(__ENV.HTTP).session[0] === 's1',
    'another jar': () => other.body.trim() === '{}',
  });
}
