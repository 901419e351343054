// The network: names of the script's own, blocked names and addresses, IPv6, which addresses are taken, new connections.
import http from 'k6/http';
import { check } from 'k6';

export const options = {
  vus: 2, iterations: 6,
  hosts: { 'bazaar.test': '127.0.0.1', 'lamp.test:80': `127.0.0.1:${__ENV.PORT}`, '*.caravan.test': '127.0.0.1' },
  blockHostnames: ['*.thieves.test'],
  blacklistIPs: ['10.0.0.0/8'],
  dns: { ttl: '1s', select: 'first', policy: 'preferIPv4' },
  noConnectionReuse: true,
  userAgent: 'caravan/1.0',
};

export default function () {
  const named = http.get(`http://bazaar.test:${__ENV.PORT}/echo`);
  const mapped = http.get('http://lamp.test/lamp');
  const any = http.get(`http://a.caravan.test:${__ENV.PORT}/caravan`);
  const blocked = http.get('http://forty.thieves.test/');
  const listed = http.get('http://10.1.2.3/');
  const six = http.get(`${__ENV.SIX}/six`);
  check(named, {
    named: (a) => a.json('headers.User-Agent.0') === 'caravan/1.0',
    mapped: () => mapped.status === 200 && any.status === 200,
    blocked: () => blocked.error_code === 1111 && listed.error_code === 1110,
    six: () => six.status === 200,
    'new connections': () => named.timings.connecting > 0 && six.timings.connecting > 0,
  });
}
