// Hashes, signatures and encodings, old and new, and a token made of them.
import http from 'k6/http';
import encoding from 'k6/encoding';
import { sha256, hmac, md5, randomBytes } from 'k6/crypto';
import { check } from 'k6';

export const options = { vus: 1, iterations: 3 };

function token(claims, secret) {
  const part = (v) => encoding.b64encode(JSON.stringify(v), 'rawurl');
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${hmac('sha256', secret, text, 'base64rawurl')}`;
}

export default async function () {
  const signed = token({ sub: 'ali' }, 'sesame');
  const answer = http.get(`${__ENV.HTTP}/echo`, { headers: { Authorization: `Bearer ${signed}` } });
  const bytes = new TextEncoder().encode('sesame');
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, true, ['encrypt', 'decrypt']);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, bytes);
  const opened = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, sealed);
  const signer = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
  const signature = await crypto.subtle.sign('HMAC', signer, bytes);
  const hex = (b) => Array.from(new Uint8Array(b), (n) => n.toString(16).padStart(2, '0')).join('');
  check(answer, {
    token: (a) => a.json('headers.Authorization.0').split('.').length === 3,
    'old and new agree': () => sha256('sesame', 'hex') === hex(digest) && hmac('sha256', 'sesame', 'sesame', 'hex') === hex(signature),
    'there and back': () => new TextDecoder().decode(opened) === 'sesame' && encoding.b64decode('c2VzYW1l', 'std', 's') === 'sesame',
    chance: () => randomBytes(8).byteLength === 8 && crypto.randomUUID().length === 36 && md5('', 'hex').length === 32,
  });
}
