"""Holds a report of replay.py against the tables of README.md.

judge.py WAY README REPORT CASES: prints what does not agree, and fails on it.
"""
import json
import re
import sys


def named(readme, way):
    """The cases the table excuses: in all ways, and in this one alone."""
    cases = {}
    for line in open(readme, encoding='utf-8'):
        row = re.match(r'\| (\d+) \| (\w+) \| (.+) \|$', line)
        if row and row[2] in ('all', way):
            cases[int(row[1])] = row[2]
    return cases


def is_apart(case):
    """What may be unsupported, but not fail: proxies of any kind, and `resolve`."""
    job = case['job']
    return (
        any(job.get(key) for key in ('proxy', 'proxy_auth', 'proxy_tunnel'))
        or any('proxy' in name.lower() for name in case['env'])
        or any(request.get('resolve') for request in job['requests'])
    )


def main():
    way, readme, report, folder = sys.argv[1:]
    excused = named(readme, way)
    wrong = []
    apart = {'pass': 0, 'fail': 0, 'unsupported': 0}
    counted = passed = 0
    for verdict in json.load(open(report)):
        number, result = verdict['id'], verdict['result']
        fails = json.dumps(verdict['fails'])
        if 'HANG' in fails or 'crashed' in fails:
            wrong.append(f'{number}: hangs or crashes: {fails[:300]}')
        if is_apart(json.load(open(f'{folder}/{number}.json'))):
            apart[result] += 1
            if result == 'fail':
                wrong.append(f'{number}: fails: {verdict["name"]}: {fails[:400]}')
            continue
        counted += 1
        passed += result == 'pass'
        if result == 'pass' and number in excused:
            wrong.append(f'{number}: passes, though README.md says that it does not')
        elif result != 'pass' and number not in excused:
            why = verdict.get('why') or fails[:400]
            wrong.append(f'{number}: {result}, and not in README.md: {verdict["name"]}: {why}')
    print(f'{passed} of {counted} pass; apart (proxies, resolve): {apart}')
    here = sum(1 for of in excused.values() if of == way)
    if counted - passed > 8 + here:
        wrong.append(f'{counted - passed} do not pass, more than the 8 allowed')
    for line in wrong:
        print('  ' + line)
    sys.exit(bool(wrong))


main()
