// What a reader would try on a page: put behind it by scripts/pages.sh, which reads the answer out of the page.
'use strict';
(() => {
  const faults = [];
  const check = (holds, what) => holds || faults.push(what);
  const boxes = elements => [...elements].map(element => [element, element.getBoundingClientRect()]);
  const data = JSON.parse(document.getElementById('data').textContent);

  const figures = [...document.querySelectorAll('figure')];
  figures.forEach((figure, number) => {
    const name = 'chart ' + number + ' (' + figure.querySelector('figcaption').textContent + ')';
    const svg = figure.querySelector('svg');
    if (!svg) return faults.push(name + ': nothing drawn');
    const frame = svg.getBoundingClientRect();
    const marks = boxes(svg.querySelectorAll('circle,rect,polyline,path')).filter(([, b]) => b.width > 0 || b.height > 0);
    check(frame.width > 100 && frame.height > 20 && marks.length > 0, name + ': nothing to see');
    check(frame.right <= innerWidth + 1, name + ': wider than the window');
    const texts = boxes(svg.querySelectorAll('text')).filter(([t]) => t.textContent.trim());
    texts.forEach(([text, b]) => check(
      b.left >= frame.left - 1 && b.right <= frame.right + 1 && b.top >= frame.top - 1 && b.bottom <= frame.bottom + 1,
      name + ': "' + text.firstChild.textContent.trim() + '" is cut off'));
    texts.forEach(([text, a], at) => texts.slice(at + 1).forEach(([other, b]) => check(
      a.right < b.left + 1 || b.right < a.left + 1 || a.bottom < b.top + 3 || b.bottom < a.top + 3,
      name + ': "' + text.firstChild.textContent.trim() + '" lies on "' + other.firstChild.textContent.trim() + '"')));
  });

  let cells = 0;
  const lines = section => [...section.querySelectorAll('tr')].slice(1).map(row => [...row.cells].map(c => c.textContent));
  const shown = (value, column) =>
    value === null ? '' : column.number && typeof value === 'number' ? value.toFixed(column.digits) : String(value);
  data.forEach((table, number) => {
    const section = document.getElementById('table' + number);
    const name = 'table ' + number + ' (' + section.querySelector('h3').textContent + ')';
    const expected = table.rows.slice(0, 5000).map(row => row.map((v, at) => shown(v, table.columns[at])));
    check(JSON.stringify(lines(section)) === JSON.stringify(expected), name + ': not the numbers of the data');
    check(table.rows.every(row => row.length === table.columns.length), name + ': rows and columns differ');
    cells += expected.length * table.columns.length;
    table.columns.forEach((column, at) => {
      const sorted = () => {
        section.querySelectorAll('th')[at].click();
        return lines(section).map(line => line[at]).filter(cell => cell !== '');
      };
      // Numbers come first, by size, in columns of words, too.
      const order = values => values.every((value, i) => i === 0 || (isNaN(value)
        ? !isNaN(values[i - 1]) || values[i - 1].localeCompare(value) <= 0
        : Number(values[i - 1]) <= Number(value)));
      const [first, second] = [sorted(), sorted()];
      const [up, down] = column.number ? [second, first] : [first, second];
      check(order(up) && order(down.slice().reverse()), name + ': not sorted by ' + column.name);
    });
    const input = section.querySelector('input');
    const filter = words => {
      input.value = words;
      input.dispatchEvent(new Event('input'));
      return lines(section).length;
    };
    if (table.rows.length) {
      const words = String(table.rows[0][0]).toLowerCase();
      const having = table.rows.filter(row => words.split(/\s+/).every(w => row.join(' ').toLowerCase().includes(w)));
      check(filter(words) === Math.min(having.length, 5000), name + ': the filter finds other rows');
    }
    check(filter('no such word in it') === 0, name + ': the filter lets rows through');
    check(filter('') === expected.length, name + ': rows are lost behind the filter');
  });

  const rgb = colour => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
  const light = colour => rgb(colour).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const grounds = [0, 1].map(() => {
    document.getElementById('theme').click();
    const ground = getComputedStyle(document.body).backgroundColor;
    const inks = [getComputedStyle(document.body).color];
    document.querySelectorAll('svg text').forEach(text => inks.push(getComputedStyle(text).fill));
    document.querySelectorAll('td.good,td.bad,td.quiet').forEach(cell => inks.push(getComputedStyle(cell).color));
    check(inks.every(ink => contrast(ink, ground) >= 4.5), 'text is hard to read on ' + ground);
    const areas = [...document.querySelectorAll('ul.legend i')].map(i => getComputedStyle(i).backgroundColor);
    check(areas.every(area => contrast(area, ground) >= 1.9), 'a colour is hard to see on ' + ground);
    return ground;
  });
  check(grounds[0] !== grounds[1], 'dark and light are the same');
  check(performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length === 0, 'it loads something');
  const answer = document.createElement('pre');
  answer.id = 'checked';
  answer.textContent = faults.length ? faults.slice(0, 20).map(f => 'FAULT ' + f).join('\n')
    : 'SOUND ' + figures.length + ' charts, ' + data.length + ' tables, ' + cells + ' cells';
  document.body.append('\n', answer, '\n');
})();
