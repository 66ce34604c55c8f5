// Commands: every figure[data-kind=command] gets a button that copies its text.
'use strict';
document.querySelectorAll('figure[data-kind=command]').forEach(figure => {
  const text = figure.querySelector('pre');
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Copy' });
  button.addEventListener('click', async () => {
    const range = document.createRange();
    range.selectNodeContents(text);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    // Pages from disk may have no clipboard of their own; then the selection is copied.
    try { await navigator.clipboard.writeText(text.textContent); } catch { document.execCommand('copy'); }
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  figure.querySelector('figcaption').append(' ', button);
});
