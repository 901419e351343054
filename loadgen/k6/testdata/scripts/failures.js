// What goes wrong: no answer in time, nobody there, nobody to be trusted, and a batch of which one is late.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 2, iterations: 4 };

export default function () {
  const late = http.get(`${__ENV.HTTP}/slow`, { timeout: '100ms' });
  const gone = http.get(`http://${__ENV.GONE}/`);
  const [one, two] = http.batch([
    ['GET', `${__ENV.HTTP}/slow`, null, { timeout: '100ms' }],
    ['GET', `${__ENV.HTTP}/quick`],
  ]);
  const untrusted = http.get(`${__ENV.HTTPS}/`);
  const broken = http.get(`${__ENV.HTTP}/status/503`);
  check(null, {
    late: () => late.status === 0 && late.error_code === 1050,
    gone: () => gone.error_code === 1212,
    'only one': () => one.error_code === 1050 && two.status === 200,
    untrusted: () => untrusted.error_code === 1310,
    broken: () => broken.error_code === 1503,
  });
}
