"""Holds the Autobahn server's report to what is promised.

judge_autobahn.py REPORTS AGENT COUNT: prints the verdicts' counts and every case
that fell short, and fails if there is one, or if not COUNT cases are reported.
"""
import collections
import json
import sys

# Cases that judge nothing, in all 517.
MOST_INFORMATIONAL = 3


def main():
    reports, agent, count = sys.argv[1:]
    with open(reports + '/index.json') as file:
        cases = json.load(file).get(agent, {})
    wrong = []
    verdicts = collections.Counter()
    closings = collections.Counter()
    for name, case in sorted(cases.items(), key=lambda case: number(case[0])):
        behavior, closing = case['behavior'], case['behaviorClose']
        verdicts[behavior] += 1
        closings[closing] += 1
        # Where nothing is judged, the closing is not, either.
        informational = behavior == 'INFORMATIONAL'
        fine = ('OK', 'INFORMATIONAL') if informational else ('OK',)
        if not (informational or behavior == 'OK') or closing not in fine:
            wrong.append('%s: %s, closing: %s' % (name, behavior, closing))
    if verdicts['INFORMATIONAL'] > MOST_INFORMATIONAL:
        wrong.append('more than %d are INFORMATIONAL' % MOST_INFORMATIONAL)
    if len(cases) != int(count):
        wrong.append('%d cases are reported, not %s' % (len(cases), count))
    print('%d cases: %s; closing: %s' % (len(cases), words(verdicts), words(closings)))
    for line in wrong:
        print('  ' + line)
    sys.exit(bool(wrong))


def number(name):
    return [int(part) for part in name.split('.')]


def words(counts):
    return ', '.join('%d %s' % (count, word) for word, count in sorted(counts.items()))


main()
