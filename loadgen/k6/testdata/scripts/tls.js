// TLS: a certificate of the client's own, versions, ciphers, and a server that nobody vouches for.
import http from 'k6/http';
import { check } from 'k6';

export const options = {
  vus: 2, iterations: 6,
  tlsAuth: [{ cert: __ENV.CERT, key: __ENV.KEY }],
  tlsVersion: { min: http.TLS_1_2, max: http.TLS_1_2 },
  tlsCipherSuites: ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'],
  insecureSkipTLSVerify: true,
};

export default function () {
  const answer = http.get(`${__ENV.MTLS}/vault`);
  check(answer, {
    version: (a) => a.tls_version === http.TLS_1_2,
    cipher: (a) => a.tls_cipher_suite.endsWith('AES_128_GCM_SHA256'),
    let: (a) => a.status === 200,
  });
}
