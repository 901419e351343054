// Redirects: followed, not followed, and one too many.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6, maxRedirects: 3 };

export default function () {
  const followed = http.get(`${__ENV.HTTP}/redirect/2`);
  const here = http.get(`${__ENV.HTTP}/redirect/2`, { redirects: 0 });
  const lost = http.get(`${__ENV.HTTP}/redirect/5`);
  check(null, {
    followed: () => followed.status === 200 && followed.url.endsWith('/landed'),
    here: () => here.status === 302 && here.headers.Location === '/redirect/1',
    lost: () => lost.status === 302,
  });
}
