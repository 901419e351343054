// Secrets: asked for by name, and never in a log.
import http from 'k6/http';
import secrets from 'k6/secrets';
import { check } from 'k6';

export const options = { vus: 1, iterations: 3 };

export default async function () {
  const token = await secrets.get('TOKEN');
  console.warn(`the word is ${token}`);
  const answer = http.get(`${__ENV.HTTP}/echo`, { headers: { Authorization: token } });
  check(answer, { told: (a) => a.json('headers.Authorization.0') === 'opensesame' });
  http.get(`http://${__ENV.GONE}/?key=${token}`);
  try {
    await secrets.get('NOTHING');
  } catch (e) {
    check(e, { unknown: (u) => u !== undefined });
  }
}
