// Pages: what they hold, their links, and their forms.
import http from 'k6/http';
import { parseHTML } from 'k6/html';
import { check } from 'k6';

export const options = { vus: 1, iterations: 3 };

export default function () {
  const page = http.get(`${__ENV.HTTP}/page`);
  const doc = parseHTML(page.body);
  const carpet = page.clickLink({ selector: 'a:nth-child(2)' });
  const bought = page.submitForm({ formSelector: 'form', fields: { size: '4x6' } });
  check(page, {
    title: () => doc.find('title').text() === 'Carpets',
    links: (p) => p.html('a').size() === 2 && doc.find('a').first().attr('href') === '/carpets/1',
    'link followed': () => carpet.url.endsWith('/carpets/2'),
    'form sent': () => bought.json('form.what.0') === 'carpet' && bought.json('form.size.0') === '4x6',
  });
}
