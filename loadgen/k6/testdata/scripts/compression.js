// Compressed both ways.
import http from 'k6/http';
import { check } from 'k6';

const ways = ['gzip', 'deflate', 'br', 'zstd'];

export const options = { vus: 2, iterations: 4 };

export default function () {
  for (const way of ways) {
    const sent = http.post(`${__ENV.HTTP}/echo`, 'carpet '.repeat(50), { compression: way });
    const got = http.get(`${__ENV.HTTP}/packed/${way}`);
    check(null, {
      [`sent by ${way}`]: () => sent.json('body').length === 350 && sent.json('headers.Content-Encoding.0') === way,
      [`got by ${way}`]: () => got.body.length === 700,
    });
  }
}
