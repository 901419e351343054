// Passwords, basic and by digest, right and wrong.
import http from 'k6/http';
import encoding from 'k6/encoding';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6 };

export default function () {
  const at = (path, who) => __ENV.HTTP.replace('://', `://${who}@`) + path;
  const basic = http.get(at('/basic', 'ali:baba'));
  const header = http.get(`${__ENV.HTTP}/basic`, { headers: { Authorization: `Basic ${encoding.b64encode('ali:baba')}` } });
  const digest = http.get(at('/digest', 'ali:baba'), { auth: 'digest' });
  const wrong = http.get(at('/basic', 'ali:kasim'));
  check(null, {
    basic: () => basic.status === 200,
    'by header': () => header.status === 200,
    digest: () => digest.status === 200,
    wrong: () => wrong.status === 401,
  });
}
