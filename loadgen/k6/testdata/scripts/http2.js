// HTTP/2, by negotiation, with a certificate that nobody vouches for.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 2, iterations: 6, insecureSkipTLSVerify: true };

export default function () {
  const [a, b] = http.batch([`${__ENV.HTTPS}/echo`, `${__ENV.HTTPS}/echo`]);
  check(a, {
    two: (r) => r.proto === 'HTTP/2.0' && r.json('proto') === 'HTTP/2.0',
    both: () => b.status === 200,
    tls: (r) => r.tls_version === http.TLS_1_3 && r.tls_cipher_suite !== '',
  });
}
