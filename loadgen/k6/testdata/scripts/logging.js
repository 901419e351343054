// What a script prints, and a check of it all.
import http from 'k6/http';
import { check } from 'k6';

export const options = { vus: 1, iterations: 3 };

export default function () {
  console.log('log', { a: 1 }, [1, 2]);
  console.info('info');
  console.debug('debug');
  console.warn('carpets are low');
  console.error('the door is stuck');
  check(http.get(`${__ENV.HTTP}/`), { welcome: (a) => a.body === 'welcome' });
}
